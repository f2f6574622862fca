-- What requests that are alike cost of late: the median of each kind, of those of the
-- last 2000 that came to their end whose cost was told. The body is no JSON as long as
-- it lacks its source's id; what a prompt says has its quotes escaped. In millionths.
SELECT r.mode, s.resolution, s.duration, s.audio,
    round((percentile_cont(0.5) WITHIN GROUP (ORDER BY e.cost))::numeric
        * 1000000)::bigint AS median,
    count(*) AS count
FROM (
    SELECT id, kind, has_cost, cost FROM closed ORDER BY closed_ms DESC LIMIT 2000
) e JOIN request r ON r.id = e.id, LATERAL (
    SELECT substring(r.body FROM '"resolution":"([0-9a-z]+)"') AS resolution,
        substring(r.body FROM '"duration":([0-9]{1,4})')::integer AS duration,
        coalesce(r.body ~ '"audio"[:]true', false) AS audio
) s
WHERE e.kind = 0 AND e.has_cost AND e.cost BETWEEN 0 AND 1000000000
    AND r.body IS NOT NULL
GROUP BY r.mode, s.resolution, s.duration, s.audio
ORDER BY count DESC
LIMIT 200;
