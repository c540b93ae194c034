"""What reads Codat and what writes to it: the decisions of `planning`, asked for and carried out."""
