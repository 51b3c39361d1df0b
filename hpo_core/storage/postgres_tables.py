"""The schema ``hpo_core`` of a PostgreSQL database, and how an older one becomes the present one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hpo_core.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

# Advisory locks are shared by all that use the database; ours are of this class: "hpoc" in ASCII.
LOCKS: Final = 0x68706F63
EXCLUSIVE: Final = f"SELECT pg_advisory_xact_lock({LOCKS}, 0)"
# The default of a database may be another level, whose snapshot would be older than the lock.
BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"

# The functions that read JSON fail on characters that text cannot hold: NUL and half a surrogate pair.
_UNREADABLE: Final = r"(?<=(^|[^\\])(\\\\)*)\\u(0000|d[89ab]..(?!\\ud[c-f])|(?<!\\ud[89ab]..\\u)d[c-f]..)"

# Other encodings than UTF-8 lack what is beyond ASCII, and their functions fail on it.
_BEYOND_ASCII: Final = r"(?<=(^|[^\\])(\\\\)*)\\u(?!00[0-7])...."
_READABLE: Final = rf"""CASE WHEN data LIKE '%\\u0000%' OR data LIKE '%\\ud%'
        THEN regexp_replace(data, '{_UNREADABLE}', '?', 'g') ELSE data END"""
_READABLE_IN_ANY_ENCODING: Final = rf"""CASE
        WHEN current_setting('server_encoding') <> 'UTF8' AND data LIKE '%\\u%'
        THEN regexp_replace(regexp_replace(data, '{_BEYOND_ASCII}', '?', 'g'), '{_UNREADABLE}', '?', 'g')
        ELSE {_READABLE} END"""
_VIEW: Final = r"""
{0} VIEW hpo_core.trials AS
WITH readable AS (
    SELECT study, kind, {1}::json AS data
    FROM hpo_core.events WHERE kind IN ('asked', 'told', 'failed', 'stopped')
), asked AS (
    SELECT study, data -> 'params' AS params, (data ->> 'first')::bigint + k AS number, k
    FROM readable, generate_series(0, (data ->> 'n')::integer - 1) AS k WHERE kind = 'asked'
), ended AS (
    SELECT study, kind, number::bigint, (data #>> ARRAY['values', (i - 1)::text])::float8 AS value,
        (data #>> ARRAY['cost', (i - 1)::text])::float8 AS seconds, data ->> 'reason' AS reason
    FROM readable, json_array_elements_text(data -> 'rows') WITH ORDINALITY AS r (number, i)
    WHERE kind <> 'asked'
)
SELECT s.name AS study, a.number,
    CASE e.kind WHEN 'told' THEN 'complete' WHEN 'failed' THEN 'failed' WHEN 'stopped' THEN 'stopped'
        ELSE 'running' END AS state,
    e.value, e.seconds, e.reason,
    (SELECT json_object_agg(p.key, p.value -> a.k) FROM json_each(a.params) AS p) AS params
FROM asked AS a JOIN hpo_core.studies AS s ON s.key = a.study AND NOT s.deleted
LEFT JOIN ended AS e ON e.study = a.study AND e.number = a.number;
"""

# New columns come last, so that this view can replace the earlier ones; rights on it and views of it stay.
# The results of a study with a direction are those of one metric, "value". Values of several metrics are
# lists in the log, in the order of the metrics.
_FULL_VIEW: Final = rf"""
CREATE OR REPLACE VIEW hpo_core.trials AS
WITH RECURSIVE readable AS (
    SELECT study, position, kind, {_READABLE_IN_ANY_ENCODING}::json AS data
    FROM hpo_core.events WHERE kind IN (
        'asked', 'told', 'failed', 'stopped', 'retried', 'decided', 'paused', 'resumed', 'reported', 'noted',
        'created', 'changed'
    )
), spaces AS (
    SELECT study, NULL AS owner, NULL::json AS choice, space FROM (
        SELECT DISTINCT ON (study) study, data -> 'space' -> 'space' AS space
        FROM readable WHERE kind IN ('created', 'changed') ORDER BY study, position DESC
    ) AS newest
    UNION ALL
    SELECT s.study, p.key, p.value -> 'categorical' -> (i - 1)::integer, b.space
    FROM spaces AS s, json_each(s.space) AS p,
        json_array_elements(p.value -> 'spaces') WITH ORDINALITY AS b (space, i)
), constants AS (
    SELECT s.study, s.owner, s.choice, p.key AS name, p.value -> 'constant' AS value
    FROM spaces AS s, json_each(s.space) AS p WHERE p.value -> 'constant' IS NOT NULL
), batches AS MATERIALIZED (
    SELECT study, data -> 'params' AS params, data -> 'none' AS none, (data ->> 'first')::bigint AS first,
        (data ->> 'n')::integer AS n, data ->> 'tier' AS tier, (data ->> 'time')::float8 AS time
    FROM readable WHERE kind = 'asked'
), asked AS (
    SELECT *, first + k AS number FROM batches, generate_series(0, n - 1) AS k
), said AS (
    SELECT study, position, kind, data, number::bigint, (i - 1)::integer AS i
    FROM readable, json_array_elements_text(data -> 'rows') WITH ORDINALITY AS r (number, i)
    WHERE kind NOT IN ('asked', 'created', 'changed', 'reported')
), curves AS (
    SELECT study, position, data -> 'step' AS step, number::bigint, told
    FROM readable, ROWS FROM (
        json_array_elements_text(data -> 'rows'), json_array_elements(data -> 'values')
    ) AS r (number, told) WHERE kind = 'reported'
), described AS MATERIALIZED (
    SELECT study, metrics, json_array_length(metrics) > 1 AS several, (
        SELECT CASE count(*) WHEN 1 THEN max(i) - 1 END::integer
        FROM json_array_elements(metrics) WITH ORDINALITY AS m (metric, i)
        WHERE metric ->> 'kind' IN ('minimize', 'maximize')
    ) AS objective
    FROM (
        SELECT study, coalesce(data -> 'metrics', '[{{"name": "value", "kind": "minimize"}}]') AS metrics
        FROM readable WHERE kind = 'created'
    ) AS created
), placed AS (
    SELECT DISTINCT ON (study, number) study, number, kind, (data -> 'cost' ->> i)::float8 AS seconds
    FROM said WHERE kind IN ('paused', 'resumed', 'told', 'failed', 'stopped')
    ORDER BY study, number, position DESC
), advised AS (
    SELECT DISTINCT ON (study, number) study, number, data ->> 'reason' AS reason
    FROM said WHERE kind IN ('decided', 'resumed') ORDER BY study, number, position DESC
), ended AS (
    SELECT study, number, kind, data -> 'values' -> i AS told, (CASE
            WHEN several THEN data -> 'values' -> i ->> objective ELSE data -> 'values' ->> i
        END)::float8 AS value,
        (data -> 'cost' ->> i)::float8 AS seconds, data ->> 'reason' AS reason
    FROM said JOIN described USING (study) WHERE kind IN ('told', 'failed', 'stopped')
    UNION ALL
    SELECT * FROM (
        SELECT DISTINCT ON (study, number) study, number, p.kind, told, (CASE
                WHEN several THEN told ->> objective ELSE told #>> '{{}}' END)::float8, p.seconds, NULL
        FROM curves JOIN described USING (study) JOIN placed AS p USING (study, number)
        WHERE p.kind = 'paused' ORDER BY study, number, position DESC
    ) AS last
), again AS (
    SELECT study, number, json_agg(data -> 'reason' ORDER BY position) FILTER (WHERE kind = 'retried')
            AS retries,
        (array_agg((data ->> 'time')::float8 ORDER BY position DESC))[1] AS time
    FROM said WHERE kind IN ('retried', 'resumed') GROUP BY study, number
), reported AS (
    SELECT study, number, json_agg(json_build_array(step, CASE WHEN several THEN (
            SELECT json_object_agg(metric ->> 'name', told -> (m.i - 1)::integer)
            FROM json_array_elements(metrics) WITH ORDINALITY AS m (metric, i)
            WHERE metric -> 'known' IS NULL
        ) ELSE told END) ORDER BY position) AS reports
    FROM curves JOIN described USING (study) GROUP BY study, number
), noted AS (
    SELECT study, number, json_object_agg(name, note) AS notes
    FROM (
        SELECT DISTINCT ON (study, number, name) study, number, n.key AS name, n.value AS note
        FROM said, json_each(data -> 'notes' -> i) AS n
        WHERE kind = 'noted' ORDER BY study, number, name, position DESC
    ) AS last GROUP BY study, number
)
SELECT s.name AS study, a.number,
    CASE e.kind WHEN 'told' THEN 'complete' WHEN 'failed' THEN 'failed'
        WHEN 'stopped' THEN 'stopped' WHEN 'paused' THEN 'paused' ELSE 'running' END AS state,
    e.value, e.seconds, coalesce(e.reason, v.reason) AS reason,
    coalesce((WITH given AS (
        SELECT c.key AS name, c.value -> a.k AS value,
            a.k::text IN (SELECT json_array_elements_text(a.none -> c.key)) AS is_none
        FROM json_each(a.params) AS c
    ) SELECT json_object_agg(name, value) FROM (
        SELECT c.name, c.value FROM given AS c WHERE json_typeof(c.value) <> 'null' OR c.is_none
        UNION ALL
        SELECT DISTINCT ON (k.name) k.name, k.value FROM constants AS k
        WHERE k.study = a.study AND (k.owner IS NULL OR EXISTS (
            SELECT 1 FROM given AS c WHERE c.name = k.owner AND c.value::jsonb = k.choice::jsonb
                AND (json_typeof(k.choice) <> 'null' OR c.is_none)))
    ) AS p), '{{}}') AS params,
    to_timestamp(coalesce(r.time, a.time)) AS started, a.tier,
    coalesce(r.retries, '[]') AS retries, coalesce(p.reports, '[]') AS reports,
    coalesce(n.notes, '{{}}') AS notes,
    coalesce((
        SELECT json_object_agg(metric ->> 'name', CASE
            WHEN d.several THEN e.told -> (i - 1)::integer ELSE e.told END)
        FROM json_array_elements(d.metrics) WITH ORDINALITY AS m (metric, i) WHERE e.kind <> 'failed'
    ), '{{}}') AS metrics,
    coalesce(e.kind IN ('told', 'stopped'), false) AND NOT EXISTS (
        SELECT 1 FROM json_array_elements(d.metrics) WITH ORDINALITY AS m (metric, i)
        WHERE CASE metric ->> 'kind'
            WHEN 'at_most' THEN (e.told ->> (i - 1)::integer)::float8 > (metric ->> 'bound')::float8
            WHEN 'at_least' THEN (e.told ->> (i - 1)::integer)::float8 < (metric ->> 'bound')::float8 END
    ) AS feasible
FROM asked AS a JOIN hpo_core.studies AS s ON s.key = a.study AND NOT s.deleted
LEFT JOIN described AS d ON d.study = a.study
LEFT JOIN ended AS e ON e.study = a.study AND e.number = a.number
LEFT JOIN advised AS v ON v.study = a.study AND v.number = a.number
LEFT JOIN again AS r ON r.study = a.study AND r.number = a.number
LEFT JOIN reported AS p ON p.study = a.study AND p.number = a.number
LEFT JOIN noted AS n ON n.study = a.study AND n.number = a.number;
"""

# What each version added to the one before. Events do not refer to studies: each would lock a row there.
STEPS: Final[tuple[str, ...]] = (
    rf"""
CREATE TABLE hpo_core.version (schema integer NOT NULL);
INSERT INTO hpo_core.version VALUES (0);
CREATE TABLE hpo_core.studies (
    key integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL,
    deleted boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX names ON hpo_core.studies (name) WHERE NOT deleted;
CREATE TABLE hpo_core.events (
    study integer NOT NULL, position bigint NOT NULL, kind text NOT NULL, data text NOT NULL,
    crc bigint NOT NULL, token bigint NOT NULL, PRIMARY KEY (study, position)
);
CREATE INDEX descriptions ON hpo_core.events (study, position) WHERE kind IN ('created', 'changed');
{_VIEW.format("CREATE", _READABLE)}""",
    _VIEW.format("CREATE OR REPLACE", _READABLE_IN_ANY_ENCODING),
    "",  # other views, which the last one replaced
    "",
    _FULL_VIEW,
)
_SCHEMA: Final = "SELECT 1 FROM pg_namespace WHERE nspname = 'hpo_core'"
_TABLE: Final = "SELECT 1 FROM pg_tables WHERE schemaname = 'hpo_core' AND tablename = 'version'"


def run(connection: Any, text: str, values: Sequence[Any] = ()) -> list[Any]:
    """Send statements in one message, and return the rows of the last."""
    cursor = connection.execute(text, values or None)
    while cursor.nextset():
        pass
    return list(cursor.fetchall()) if cursor.description else []


def version(connection: Any, shown: str) -> int:
    """Return the version of the tables, 0 if there are none.

    Raises
    ------
    StorageError
        They are of a newer version.
    """
    # Not to_regclass: it may answer from what the session knew before it waited for the lock.
    if not run(connection, _TABLE):
        return 0
    ((found,),) = run(connection, "SELECT schema FROM hpo_core.version")
    if found > len(STEPS):
        raise StorageError(
            f"storage {shown!r} has schema {found}, written by a newer hpo_core; this one reads up to "
            f"{len(STEPS)}: update hpo_core"
        )
    return int(found)


def _may_not_change() -> Any:
    from psycopg.errors import InsufficientPrivilege

    return InsufficientPrivilege


def bring_up_to_date(connection: Any, shown: str) -> None:
    """Make the tables, or what newer versions have added to them; many processes may try at once."""
    found = version(connection, shown)
    if found == len(STEPS):
        return
    try:
        with connection.transaction():
            run(connection, EXCLUSIVE)
            found = version(connection, shown)
            # Whoever may not make schemas may be given an empty one: asking for it again would be refused.
            if not run(connection, _SCHEMA):
                run(connection, "CREATE SCHEMA hpo_core")
            for step in STEPS[found:]:
                run(connection, step)
            run(connection, f"UPDATE hpo_core.version SET schema = {len(STEPS)}")
    except _may_not_change():
        if not found:  # the tables are as they were from the first version on: only the view is newer
            raise
