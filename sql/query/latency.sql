-- Of rows of `ended`: how many were within each bound, and beyond the last.
(ARRAY[
    count(*) FILTER (WHERE latency = 0), count(*) FILTER (WHERE latency = 1),
    count(*) FILTER (WHERE latency = 2), count(*) FILTER (WHERE latency = 3),
    count(*) FILTER (WHERE latency = 4), count(*) FILTER (WHERE latency = 5),
    count(*) FILTER (WHERE latency = 6), count(*) FILTER (WHERE latency = 7),
    count(*) FILTER (WHERE latency = 8), count(*) FILTER (WHERE latency = 9)])
