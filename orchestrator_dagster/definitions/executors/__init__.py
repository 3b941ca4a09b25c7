"""Where the steps of a run are executed: in threads, in processes, or where another executor says."""
