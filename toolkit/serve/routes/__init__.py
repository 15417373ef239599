"""What the routes read and return: bodies, NDJSON, the answers of pipelines, and the OpenAPI description."""
