"""The commands: one file each, as a person types them."""
