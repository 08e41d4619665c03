-- A text as a day, where it is one of the calendar. Devices may write whatever text they like where a form asks for a
-- date: what was recorded before a form was tightened is not refused.
CREATE FUNCTION calendar_day(said text) RETURNS date
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
SELECT CASE
    WHEN said !~ '^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$' THEN NULL
    -- No day after the month's last.
    WHEN right(said, 2)::int <= extract(day FROM
            make_date(left(said, 4)::int, substr(said, 6, 2)::int, 1) + interval '1 month' - interval '1 day')
        THEN make_date(left(said, 4)::int, substr(said, 6, 2)::int, right(said, 2)::int)
END
$$;
