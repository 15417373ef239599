"""What the routes read and return, beside the messages: bodies, NDJSON, the answers of Hub pipelines, the OpenAPI page."""
