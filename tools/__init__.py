"""Programs for work on this project; they need nothing but Python."""
