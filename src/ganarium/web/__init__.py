"""Pages of HTML: the report of a run, the comparison of several, the page of a data set."""
