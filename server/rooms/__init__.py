"""The games: each a class derived from `base.Room`, pure like the core beneath them."""
