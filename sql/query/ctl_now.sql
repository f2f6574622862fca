-- PostgreSQL's clock.
SELECT json_build_object('now_ms',
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint);
