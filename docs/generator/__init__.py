"""What the generated pages of the reference are made with, one module a page."""
