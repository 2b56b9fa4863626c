"""The doctor watches a run while it trains, and says what is wrong and what to try."""
