"""What a finished run says: result.json, tables, a picture, a page."""
