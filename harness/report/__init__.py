"""Records to ranked rows, rows to text, Markdown, CSV and JSON. Pure; files are harness/records.py's."""
