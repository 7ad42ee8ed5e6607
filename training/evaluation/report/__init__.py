"""Results for people: a Markdown table, and a page that needs nothing but a browser."""
