"""What the outside calls: health, the way out of mails, pages."""
