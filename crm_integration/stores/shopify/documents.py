"""Every GraphQL text that is sent to Shopify.

Prevents two drifts: a field that was taken away (each text is checked against the official schema
of the version in the manifest), and a listing, a direct read and a bulk file that ask for
different fields and so derive to different records: all three are made of one selection.

`cost` is an upper bound of what Shopify calls the requested cost. By its documentation a scalar
costs 0, an object 1, a mutation 10, and a connection is sized by `first`; we count 2 + first x
node for a connection, and a list without `first` as one object. A single query may cost 1,000.
"""

from __future__ import annotations

from dataclasses import dataclass

API_VERSION = "2026-10"
LONGEST_QUERY = 1_000
"""Points a single query may cost, whatever the shop's plan."""


@dataclass(frozen=True)
class Document:
    """One operation; `size` is the `first` (or the number of ids) that `cost` was counted for."""

    name: str
    text: str
    cost: int
    size: int = 0


_MONEY = "{ shopMoney { amount } }"
_ADDRESS = """{
  firstName lastName company address1 address2 city province provinceCode zip countryCodeV2 phone
}"""
_PAGE_INFO = "pageInfo { hasNextPage endCursor }"

ORDER = f"""
id name createdAt updatedAt processedAt cancelledAt test tags note email phone
currencyCode taxesIncluded displayFinancialStatus displayFulfillmentStatus
totalPriceSet {_MONEY} totalTaxSet {_MONEY}
totalShippingPriceSet {_MONEY} totalDiscountsSet {_MONEY}
customer {{ id }}
billingAddress {_ADDRESS}
shippingAddress {_ADDRESS}
transactions {{ kind status processedAt }}
refunds {{
  id createdAt updatedAt processedAt note
  totalRefundedSet {{ shopMoney {{ amount currencyCode }} }}
}}
fulfillments {{
  id name createdAt updatedAt deliveredAt status displayStatus totalQuantity
  trackingInfo {{ company number url }}
}}
"""
ORDER_LINE = f"""
id sku name quantity product {{ id }} variant {{ id }}
originalUnitPriceSet {_MONEY} originalTotalSet {_MONEY}
discountAllocations {{ allocatedAmountSet {_MONEY} }}
taxLines {{ priceSet {_MONEY} }}
"""
CUSTOMER = f"""
id createdAt updatedAt firstName lastName verifiedEmail
defaultEmailAddress {{ emailAddress marketingState marketingOptInLevel marketingUpdatedAt }}
defaultPhoneNumber {{
  phoneNumber smsMarketingConsent {{ state optInLevel updatedAt collectedFrom }}
}}
defaultAddress {_ADDRESS}
"""
PRODUCT = "id createdAt updatedAt title status description hasOnlyDefaultVariant"
VARIANT = "id sku title price selectedOptions { name value }"
CART = f"""
id createdAt updatedAt completedAt abandonedCheckoutUrl
totalPriceSet {{ shopMoney {{ amount currencyCode }} }}
customer {{
  id state numberOfOrders firstName lastName
  defaultEmailAddress {{ emailAddress }} defaultPhoneNumber {{ phoneNumber }}
}}
billingAddress {_ADDRESS}
shippingAddress {_ADDRESS}
"""
CART_LINE = f"id sku title variantTitle quantity originalUnitPriceSet {_MONEY}"

SHOP = Document(
    "Shop", "query Shop { shop { id myshopifyDomain currencyCode ianaTimezone name } }", cost=1
)
BULK_RUN = Document(
    "BulkRun",
    """mutation BulkRun($query: String!) {
  bulkOperationRunQuery(query: $query, groupObjects: true) {
    bulkOperation { id status }
    userErrors { code field }
  }
}""",
    cost=13,
)
BULK_STATE = Document(
    "BulkState",
    """query BulkState($id: ID!) {
  bulkOperation(id: $id) { id status errorCode objectCount rootObjectCount url }
}""",
    cost=1,
)
WEBHOOKS = Document(
    "Webhooks",
    f"""query Webhooks($first: Int!, $after: String) {{
  webhookSubscriptions(first: $first, after: $after) {{ nodes {{ id topic uri }} {_PAGE_INFO} }}
}}""",
    cost=103,
    size=100,
)
WEBHOOK_CREATE = Document(
    "WebhookCreate",
    """mutation WebhookCreate($topic: WebhookSubscriptionTopic!, $uri: String!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: {uri: $uri, format: JSON}) {
    webhookSubscription { id }
    userErrors { field message }
  }
}""",
    cost=13,
)
WEBHOOK_DELETE = Document(
    "WebhookDelete",
    """mutation WebhookDelete($id: ID!) {
  webhookSubscriptionDelete(id: $id) {
    deletedWebhookSubscriptionId
    userErrors { field message }
  }
}""",
    cost=12,
)
PARCEL_LINES = Document(
    "ParcelLines",
    f"""query ParcelLines($ids: [ID!]!) {{
  nodes(ids: $ids) {{
    ... on Fulfillment {{
      id fulfillmentLineItems(first: 50) {{
        nodes {{ quantity lineItem {{ id sku }} }} {_PAGE_INFO}
      }}
    }}
  }}
}}""",
    cost=936,
    size=9,
)
MORE_PARCEL_LINES = Document(
    "MoreParcelLines",
    f"""query MoreParcelLines($id: ID!, $after: String, $first: Int!) {{
  node(id: $id) {{
    ... on Fulfillment {{
      id updatedAt fulfillmentLineItems(first: $first, after: $after) {{
        nodes {{ quantity lineItem {{ id sku }} }} {_PAGE_INFO}
      }}
    }}
  }}
}}""",
    cost=504,
    size=250,
)


def nested(name: str, fields: str, first: int | str) -> str:
    """A connection within an object; `first` is a number, `$nested` or `$first, after: $after`."""
    return f"{name}(first: {first}) {{ nodes {{ {fields} }} {_PAGE_INFO} }}"


def listing(root: str, sort_key: str, node: str, *, cost: int, size: int) -> Document:
    """Pages of a connection of the query root, filtered and sorted; `$nested` is in `node`."""
    name = f"List{root[:1].upper()}{root[1:]}"
    inner = ", $nested: Int!" if "$nested" in node else ""
    text = f"""query {name}($first: Int!, $after: String, $query: String{inner}) {{
  {root}(first: $first, after: $after, query: $query, sortKey: {sort_key}) {{
    nodes {{ {node} }} {_PAGE_INFO}
  }}
}}"""
    return Document(name, text, cost, size)


def direct(gid_type: str, node: str, *, cost: int, size: int) -> Document:
    """Objects by id; null stands for one that is not there."""
    name = f"Read{gid_type}"
    text = f"query {name}($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on {gid_type} {{ {node} }} }} }}"
    return Document(name, text, cost, size)


def more(gid_type: str, connection: str, fields: str, *, cost: int, size: int) -> Document:
    """The further pages of a connection within one object, with the object's version."""
    name = f"More{connection[:1].upper()}{connection[1:]}Of{gid_type}"
    inner = nested(connection, fields, "$first, after: $after")
    text = f"""query {name}($id: ID!, $after: String, $first: Int!) {{
  node(id: $id) {{ ... on {gid_type} {{ id updatedAt {inner} }} }}
}}"""
    return Document(name, text, cost, size)
