"""The leaderboard as one self-contained HTML file, and its picture as SVG and PNG. Pure: boards in, bytes out.

Imported only where a page is written: `harness leaderboard` loads neither the template engine nor the chart library.
"""
