"""What people read: texts, locales, links, rendering."""
