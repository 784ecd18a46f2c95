-- On in recovery too, and read where each transaction reads it.
SELECT current_setting('transaction_read_only')::boolean AS read_only
