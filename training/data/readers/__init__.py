"""From files on a disk to sequences: one module a layout."""
