"""A stateful API2Cart v1.1 over the sandbox's own shops: `app.Api2CartApp(shop).app` serves it."""
