"""Find the companies of a desired state that are named by the user's own key: by a tag, or by name."""
