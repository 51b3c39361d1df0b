-- A file as schema 1 wrote it: one study, three trials.
PRAGMA application_id = 1752199011;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE events (
    study INTEGER NOT NULL REFERENCES studies, position INTEGER NOT NULL, kind TEXT NOT NULL,
    data TEXT NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (study, position)
) WITHOUT ROWID;
INSERT INTO "events" VALUES(1,0,'created','{"space": {"hpo_core": 1, "space": {"x": {"float": [0.0, 1.0]}, "c": {"categorical": ["a", {"tuple": ["b", 1]}], "spaces": [{"m": {"float": [0.0, 1.0]}}, {}]}}}, "sampler": {"name": "tpe", "options": {"n_startup": 10, "n_candidates": 24, "gamma": 0.1, "prior_weight": 1.0, "min_bandwidth": 0.03, "weigh_below": true, "max_above": 256}}, "seed": 0, "directions": ["minimize"], "allow_duplicates": false}',420467920);
INSERT INTO "events" VALUES(1,1,'asked','{"first":0,"n":2,"cursor":0,"tier":"sobol","time":1795597540.8570685,"params":{"x":[0.5,0.8734926384640858],"c":["a","a"],"m":[0.5,0.9397463131463155]}}',2985359456);
INSERT INTO "events" VALUES(1,2,'told','{"rows":[0],"values":[3.5],"cost":[0.0004851818084716797]}',66397928);
INSERT INTO "events" VALUES(1,3,'failed','{"rows":[1],"reason":"oom","cost":[0.0005958080291748047]}',290234684);
INSERT INTO "events" VALUES(1,4,'asked','{"first":2,"n":1,"cursor":3,"tier":"sobol","time":1795597540.874038,"params":{"x":[0.6465867076767609],"c":[{"tuple":["b",1]}],"m":[null]}}',4106346142);
CREATE TABLE studies (key INTEGER PRIMARY KEY, name TEXT NOT NULL, deleted INTEGER NOT NULL DEFAULT 0);
INSERT INTO "studies" VALUES(1,'s',0);
CREATE UNIQUE INDEX names ON studies (name) WHERE NOT deleted;
CREATE VIEW trials AS
WITH asked AS (
    SELECT study, data, json_extract(data, '$.first') + n.key AS number, n.key AS k
    FROM events, json_each((SELECT c.value FROM json_each(data, '$.params') AS c LIMIT 1)) AS n
    WHERE kind = 'asked'
), ended AS (
    SELECT study, kind, r.value AS number, json_extract(data, '$.values[' || r.key || ']') AS value,
        json_extract(data, '$.cost[' || r.key || ']') AS seconds, json_extract(data, '$.reason') AS reason
    FROM events, json_each(json_extract(data, '$.rows')) AS r WHERE kind IN ('told', 'failed', 'stopped')
)
SELECT s.name AS study, a.number,
    CASE e.kind WHEN 'told' THEN 'complete' WHEN 'failed' THEN 'failed' WHEN 'stopped' THEN 'stopped'
        ELSE 'running' END AS state,
    e.value, e.seconds, e.reason,
    (SELECT json_group_object(p.key, json_extract(p.value, '$[' || a.k || ']'))
        FROM json_each(json_extract(a.data, '$.params')) AS p) AS params
FROM asked AS a JOIN studies AS s ON s.key = a.study AND NOT s.deleted
LEFT JOIN ended AS e ON e.study = a.study AND e.number = a.number;
COMMIT;
