"""What schemathesis must be told beyond the description: the bytes of an upload are bytes."""

import schemathesis

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
