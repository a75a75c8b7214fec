"""How a platform signs its deliveries, as its manifest declares it.

Prevents a second platform from needing an edit of the receiver: the ways of signing are few and
known (`intake/signatures.py`); which one a platform takes, in which header, is data.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator


class WebhookSigning(BaseModel):
    """The manifest's `webhooks`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scheme: Literal["hmac_sha256", "standard_webhooks", "shared_header", "secret_path"]
    """`hmac_sha256`: of the raw body, in a header. `standard_webhooks`: of id, time and body
    (standardwebhooks.com). `shared_header`: the secret itself in a header. `secret_path`: the
    platform documents nothing that could be checked; who knows the path is believed to speak for
    it, and each object is read from the store before anything is believed."""
    chosen_by: Literal["us", "platform", "nobody"]
    """Who chooses the secret; nobody: there is none (`secret_path` only)."""
    header: str = ""
    """Lower-case; of `hmac_sha256` and `shared_header`."""
    encoding: Literal["base64", "hex"] = "base64"
    """How the header writes an HMAC."""
    prefix: str = ""
    """What stands before it, such as `sha256=`."""
    key_form: Literal["text", "base64"] = "text"
    """Whether the key is the secret's own bytes, or what it is the base64 of (`whsec_…`)."""
    unsigned: tuple[str, ...] = ()
    """Topics that the platform sends without a signature. They are answered and kept; one that
    names an object is refused."""

    @model_validator(mode="after")
    def _complete(self) -> WebhookSigning:
        if (self.scheme == "secret_path") != (self.chosen_by == "nobody"):
            raise ValueError("chosen_by: nobody goes with scheme: secret_path, and only with it")
        needs_header = self.scheme in ("hmac_sha256", "shared_header")
        if needs_header != bool(self.header) or self.header != self.header.lower():
            raise ValueError(f"scheme {self.scheme}: header is missing, needless or not lower-case")
        return self

    @property
    def presented_in(self) -> str:
        """The header without which nothing was signed; "" for a secret path."""
        return "webhook-signature" if self.scheme == "standard_webhooks" else self.header
