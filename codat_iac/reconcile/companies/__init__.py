"""Find the companies that a desired state names by the user's own key, or by a rule over tags.

`finding` puts it together: `tenant_readings` reads the tenant, `binding` finds who is named, `rules` expands.
"""
