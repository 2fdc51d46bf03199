"""What Shipstone answers over HTTP."""
