CREATE TABLE IF NOT EXISTS samples_local ON CLUSTER 'metering' (
    site_id UInt64 COMMENT 'key in sites' CODEC(ZSTD(1)),
    tenant_id UInt64 COMMENT 'key in tenants' CODEC(ZSTD(1)),
    resource_id UInt64 COMMENT 'key in resources' CODEC(ZSTD(1)),
    meter_id UInt32 COMMENT 'key in meters' CODEC(ZSTD(1)),
    attributes_id UInt64 COMMENT 'key in attribute_sets' CODEC(ZSTD(1)),
    cell_start UInt32 COMMENT 'seconds since 1970' CODEC(DoubleDelta, ZSTD(1)),
    cell_seconds UInt32 COMMENT 'length of the cell' CODEC(ZSTD(1)),
    covered_seconds UInt32 COMMENT 'how much of the cell is known' CODEC(ZSTD(1)),
    quantity Int64 COMMENT 'base units of the meter used in the cell' CODEC(T64, ZSTD(1)),
    revision UInt16 COMMENT 'higher replaces lower at equal coverage' CODEC(ZSTD(1)),
    rank UInt64 COMMENT 'of the versions of one sample the highest counts' CODEC(ZSTD(1)),
    stored_at UInt64 COMMENT 'when it was written, microseconds since 1970' CODEC(Delta(8), ZSTD(1)),
    age UInt64 MATERIALIZED 18446744073709551615 - stored_at COMMENT '2^64 - 1 - stored_at: the copy stored first survives a merge' CODEC(Delta(8), ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/stratometer/samples', '{replica}', age)
PARTITION BY toYYYYMM(toDateTime(cell_start, 'UTC'))
ORDER BY (resource_id, meter_id, cell_start, rank)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Every distinct version of every cell sample; v_samples shows the ones that count';

CREATE TABLE IF NOT EXISTS samples ON CLUSTER 'metering' AS samples_local
ENGINE = Distributed('metering', 'stratometer', 'samples_local', resource_id);

CREATE TABLE IF NOT EXISTS events_local ON CLUSTER 'metering' (
    site_id UInt64 COMMENT 'key in sites' CODEC(ZSTD(1)),
    tenant_id UInt64 COMMENT 'key in tenants' CODEC(ZSTD(1)),
    resource_id UInt64 COMMENT 'key in resources' CODEC(ZSTD(1)),
    meter_id UInt32 COMMENT 'key in meters' CODEC(ZSTD(1)),
    attributes_id UInt64 COMMENT 'key in attribute_sets' CODEC(ZSTD(1)),
    cell_start UInt32 COMMENT 'seconds since 1970' CODEC(DoubleDelta, ZSTD(1)),
    cell_seconds UInt32 COMMENT 'length of the cell' CODEC(ZSTD(1)),
    covered_seconds UInt32 COMMENT 'how much of the cell is known' CODEC(ZSTD(1)),
    quantity Int64 COMMENT 'base units of the meter used in the cell' CODEC(T64, ZSTD(1)),
    revision UInt16 COMMENT 'higher replaces lower at equal coverage' CODEC(ZSTD(1)),
    rank UInt64 COMMENT 'of the versions of one sample the highest counts' CODEC(ZSTD(1)),
    stored_at UInt64 COMMENT 'when it was written, microseconds since 1970' CODEC(Delta(8), ZSTD(1)),
    age UInt64 MATERIALIZED 18446744073709551615 - stored_at COMMENT '2^64 - 1 - stored_at: the copy stored first survives a merge' CODEC(Delta(8), ZSTD(1)),
    event_high UInt64 COMMENT 'upper half of the 128-bit identity of an event',
    event_low UInt64 COMMENT 'lower half of the 128-bit identity of an event',
    INDEX resources resource_id TYPE bloom_filter GRANULARITY 4
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/stratometer/events', '{replica}', age)
PARTITION BY toYYYYMM(toDateTime(cell_start, 'UTC'))
ORDER BY (event_high, event_low, rank)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Every distinct version of every event; the winner of (event_high, event_low) counts';

CREATE TABLE IF NOT EXISTS events ON CLUSTER 'metering' AS events_local
ENGINE = Distributed('metering', 'stratometer', 'events_local', event_low);

CREATE TABLE IF NOT EXISTS touches_local ON CLUSTER 'metering' (
    tenant_id UInt64 COMMENT 'key in tenants' CODEC(ZSTD(1)),
    day UInt32 COMMENT 'start of the UTC day, seconds since 1970' CODEC(ZSTD(1)),
    stored_at UInt64 COMMENT 'stored_at of the rows' CODEC(DoubleDelta, ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/stratometer/touches', '{replica}')
ORDER BY (stored_at, tenant_id, day)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Which tenant and day got rows when; written with the rows, so that nobody scans for it';

CREATE TABLE IF NOT EXISTS touches ON CLUSTER 'metering' AS touches_local
ENGINE = Distributed('metering', 'stratometer', 'touches_local', tenant_id);

CREATE TABLE IF NOT EXISTS intake_local ON CLUSTER 'metering' (
    site String COMMENT 'site of the batch, empty for an unreadable one',
    collector String COMMENT 'who sent it',
    sequence UInt64 COMMENT 'place in the spool of the collector',
    replay_of String COMMENT 'origin of the dead letter that it repeats, or empty',
    origin String COMMENT 'topic/partition/offset or spool position',
    samples UInt64 COMMENT 'rows in the message',
    stored UInt64 COMMENT 'rows stored',
    dead UInt64 COMMENT 'rows sent to the dead letters',
    stored_at UInt64 COMMENT 'when it was written, microseconds since 1970' CODEC(Delta(8), ZSTD(1)),
    age UInt64 MATERIALIZED 18446744073709551615 - stored_at COMMENT '2^64 - 1 - stored_at: the copy stored first survives a merge' CODEC(Delta(8), ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/stratometer/intake', '{replica}', age)
ORDER BY (site, collector, sequence, replay_of)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What became of each message; of redeliveries the first counts';

CREATE TABLE IF NOT EXISTS intake ON CLUSTER 'metering' AS intake_local
ENGINE = Distributed('metering', 'stratometer', 'intake_local', cityHash64(site, collector));

CREATE TABLE IF NOT EXISTS ratings_local ON CLUSTER 'metering' (
    account_id UInt64 COMMENT 'key in accounts',
    window_start UInt32 COMMENT 'seconds since 1970, included',
    window_end UInt32 COMMENT 'seconds since 1970, excluded',
    revision UInt64 COMMENT 'cut-off of the usage read, microseconds since 1970',
    settled UInt8 COMMENT '1: posted to the ledger',
    price_list String COMMENT 'price list',
    price_list_version UInt32 COMMENT 'its version',
    currency String COMMENT 'ISO 4217 code or code of the unit',
    lines UInt64 COMMENT 'how many lines',
    unpriced UInt64 COMMENT 'how many of them have no price',
    amount_micros Int64 COMMENT 'sum of the lines, millionths',
    digest UInt64 COMMENT 'xor of the digests of the lines',
    stored_at UInt64 COMMENT 'when it was written, microseconds since 1970' CODEC(Delta(8), ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/stratometer/ratings', '{replica}')
ORDER BY (account_id, window_start, window_end, revision, settled, stored_at)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Ratings of windows; the highest revision of a window is valid';

CREATE TABLE IF NOT EXISTS ratings ON CLUSTER 'metering' AS ratings_local
ENGINE = Distributed('metering', 'stratometer', 'ratings_local', account_id);

CREATE TABLE IF NOT EXISTS lines_local ON CLUSTER 'metering' (
    account_id UInt64 COMMENT 'key in accounts' CODEC(ZSTD(1)),
    window_start UInt32 COMMENT 'seconds since 1970, included' CODEC(ZSTD(1)),
    window_end UInt32 COMMENT 'seconds since 1970, excluded' CODEC(ZSTD(1)),
    revision UInt64 COMMENT 'revision of the rating' CODEC(ZSTD(1)),
    settled UInt8 COMMENT '1: posted to the ledger, kept for ever' CODEC(ZSTD(1)),
    segment_start UInt32 COMMENT 'seconds since 1970, included' CODEC(DoubleDelta, ZSTD(1)),
    segment_end UInt32 COMMENT 'seconds since 1970, excluded' CODEC(DoubleDelta, ZSTD(1)),
    resource_id UInt64 COMMENT 'key in resources, 0 for none' CODEC(ZSTD(1)),
    meter_id UInt32 COMMENT 'key in meters, 0 for none' CODEC(ZSTD(1)),
    attributes_id UInt64 COMMENT 'key in attribute_sets, 0 for none' CODEC(ZSTD(1)),
    price_id UInt64 COMMENT 'key in prices, 0: unpriced' CODEC(ZSTD(1)),
    quantity Int64 COMMENT 'base units of the meter' CODEC(T64, ZSTD(1)),
    covered_seconds Int64 COMMENT 'seconds known' CODEC(T64, ZSTD(1)),
    amount_micros Int64 COMMENT 'amount, millionths' CODEC(T64, ZSTD(1)),
    usage_digest UInt64 COMMENT 'digest of the samples',
    digest UInt64 COMMENT 'hash of every input, the price included',
    stored_at UInt64 COMMENT 'when it was written, microseconds since 1970' CODEC(Delta(8), ZSTD(1)),
    INDEX digests digest TYPE bloom_filter GRANULARITY 4
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/stratometer/lines', '{replica}')
PARTITION BY toYYYYMM(toDateTime(window_start, 'UTC'))
ORDER BY (account_id, window_start, window_end, revision, stored_at, segment_start, segment_end, resource_id, meter_id, attributes_id, price_id, digest)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Rated lines; valid are those with the revision and stored_at of the valid rating';

CREATE TABLE IF NOT EXISTS lines ON CLUSTER 'metering' AS lines_local
ENGINE = Distributed('metering', 'stratometer', 'lines_local', account_id);

CREATE TABLE IF NOT EXISTS sites ON CLUSTER 'metering' (
    site_id UInt64 COMMENT 'key',
    site String COMMENT 'name',
    stored_at UInt64 COMMENT 'when it was written, microseconds since 1970'
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/stratometer/sites', '{shard}-{replica}', stored_at)
ORDER BY (site_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Metered platform installations';

CREATE TABLE IF NOT EXISTS tenants ON CLUSTER 'metering' (
    tenant_id UInt64 COMMENT 'key',
    site_id UInt64 COMMENT 'key in sites',
    tenant String COMMENT 'name, empty where the platform names none',
    stored_at UInt64 COMMENT 'when it was written, microseconds since 1970'
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/stratometer/tenants', '{shard}-{replica}', stored_at)
ORDER BY (tenant_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Tenants as their platform names them';

CREATE TABLE IF NOT EXISTS resources ON CLUSTER 'metering' (
    resource_id UInt64 COMMENT 'key',
    site_id UInt64 COMMENT 'key in sites',
    kind String COMMENT 'vm, disk, edge, ...',
    uuid String COMMENT 'the uuid that the platform gives it',
    stored_at UInt64 COMMENT 'when it was written, microseconds since 1970'
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/stratometer/resources', '{shard}-{replica}', stored_at)
ORDER BY (resource_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Billable things';

CREATE TABLE IF NOT EXISTS resource_tenants ON CLUSTER 'metering' (
    tenant_id UInt64 COMMENT 'key in tenants',
    resource_id UInt64 COMMENT 'key in resources',
    stored_at UInt64 COMMENT 'when it was written, microseconds since 1970'
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/stratometer/resource_tenants', '{shard}-{replica}', stored_at)
ORDER BY (tenant_id, resource_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Which resources were ever seen with which tenant';

CREATE TABLE IF NOT EXISTS attribute_sets ON CLUSTER 'metering' (
    attributes_id UInt64 COMMENT 'key',
    attributes String COMMENT 'canonical JSON object',
    stored_at UInt64 COMMENT 'when it was written, microseconds since 1970'
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/stratometer/attribute_sets', '{shard}-{replica}', stored_at)
ORDER BY (attributes_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Attributes of samples';

CREATE TABLE IF NOT EXISTS resource_names ON CLUSTER 'metering' (
    resource_id UInt64 COMMENT 'key in resources',
    name String COMMENT 'the name that the platform shows',
    seen_at UInt64 COMMENT 'seconds since 1970',
    stored_at UInt64 COMMENT 'when it was written, microseconds since 1970'
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/stratometer/resource_names', '{shard}-{replica}', seen_at)
ORDER BY (resource_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What resources are called; the newest seen_at counts';

CREATE TABLE IF NOT EXISTS accounts ON CLUSTER 'metering' (
    account_id UInt64 COMMENT 'key',
    account String COMMENT 'short name',
    stored_at UInt64 COMMENT 'when it was written, microseconds since 1970'
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/stratometer/accounts', '{shard}-{replica}', stored_at)
ORDER BY (account_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Who pays';

CREATE TABLE IF NOT EXISTS prices ON CLUSTER 'metering' (
    price_id UInt64 COMMENT 'key',
    price_list String COMMENT 'price list',
    version UInt32 COMMENT 'its version',
    price String COMMENT 'price within the list',
    product String COMMENT 'product that it prices',
    meter String COMMENT 'key of the meter',
    unit String COMMENT 'what the amount is for',
    amount String COMMENT 'exact decimal text',
    currency String COMMENT 'ISO 4217 code or code of the unit',
    stored_at UInt64 COMMENT 'when it was written, microseconds since 1970'
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/stratometer/prices', '{shard}-{replica}', stored_at)
ORDER BY (price_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Prices of every version of every price list';

CREATE TABLE IF NOT EXISTS meters ON CLUSTER 'metering' (
    meter_id UInt32 COMMENT 'key',
    meter String COMMENT 'name of the meter, for example cpu.used',
    base_unit String COMMENT 'unit of the quantities',
    display_unit String COMMENT 'unit for people',
    base_per_display UInt64 COMMENT 'base units in one display unit',
    stored_at UInt64 COMMENT 'when it was written, microseconds since 1970'
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/stratometer/meters', '{shard}-{replica}', stored_at)
ORDER BY (meter_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'What is measured';

CREATE TABLE IF NOT EXISTS attribution ON CLUSTER 'metering' (
    generation UInt64 COMMENT 'all rows of the newest generation hold',
    tenant_id UInt64 COMMENT 'key in tenants',
    resource_id UInt64 COMMENT 'key in resources; 0: all that no other row names',
    valid_from UInt32 COMMENT 'seconds since 1970, included',
    valid_to UInt32 COMMENT 'seconds since 1970, excluded',
    account_id UInt64 COMMENT 'key in accounts',
    stored_at UInt64 COMMENT 'when it was written, microseconds since 1970'
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/stratometer/attribution', '{shard}-{replica}')
ORDER BY (generation, tenant_id, resource_id, valid_from, account_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Which account pays for which tenant or resource, and when, for the views';

CREATE TABLE IF NOT EXISTS attribution_generations ON CLUSTER 'metering' (
    generation UInt64 COMMENT 'generation',
    row_count UInt64 COMMENT 'rows in it',
    stored_at UInt64 COMMENT 'when it was written, microseconds since 1970'
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/all/stratometer/attribution_generations', '{shard}-{replica}')
ORDER BY (generation)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Generations of attribution that are complete';

CREATE VIEW IF NOT EXISTS samples_now ON CLUSTER 'metering' AS
SELECT resource_id, meter_id, cell_start, toUInt64(0) AS event_high, toUInt64(0) AS event_low, tupleElement(won, 1) AS tenant_id, tupleElement(won, 2) AS attributes_id, tupleElement(won, 3) AS quantity,
    tupleElement(won, 4) AS covered_seconds, tupleElement(won, 5) AS cell_seconds, tupleElement(won, 6) AS revision,
    tupleElement(won, 7) AS stored_at
FROM (
    SELECT resource_id, meter_id, cell_start, argMax((tenant_id, attributes_id, quantity, covered_seconds, cell_seconds, revision, stored_at), rank) AS won
    FROM samples
    GROUP BY resource_id, meter_id, cell_start
)
UNION ALL
SELECT tupleElement(who, 1) AS resource_id, tupleElement(who, 2) AS meter_id, tupleElement(who, 3) AS cell_start,
    event_high, event_low, tupleElement(won, 1) AS tenant_id, tupleElement(won, 2) AS attributes_id, tupleElement(won, 3) AS quantity,
    tupleElement(won, 4) AS covered_seconds, tupleElement(won, 5) AS cell_seconds, tupleElement(won, 6) AS revision,
    tupleElement(won, 7) AS stored_at
FROM (
    SELECT event_high, event_low, argMax((resource_id, meter_id, cell_start), rank) AS who, argMax((tenant_id, attributes_id, quantity, covered_seconds, cell_seconds, revision, stored_at), rank) AS won
    FROM events
    GROUP BY event_high, event_low
)
COMMENT 'Integer keys of the samples that count now: of each cell and each event the winner';

CREATE VIEW IF NOT EXISTS v_samples ON CLUSTER 'metering' AS
SELECT site, tenant, kind AS resource_kind, uuid AS resource_uuid, resource_name, meter, attributes,
    toDateTime(cell_start, 'UTC') AS starts_at, cell_seconds, covered_seconds, quantity, base_unit,
    quantity / greatest(base_per_display, 1) AS display_quantity, display_unit, revision,
    toDateTime(intDiv(stored_at, 1000000), 'UTC') AS stored_at_utc,
    tenant_id, resource_id, meter_id, attributes_id, cell_start
FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM samples_now AS l ANY LEFT JOIN (SELECT resource_id, any(site_id) AS site_id, any(kind) AS kind, any(uuid) AS uuid FROM resources GROUP BY resource_id) AS r USING (resource_id)) AS l ANY LEFT JOIN (SELECT site_id, any(site) AS site FROM sites GROUP BY site_id) AS r USING (site_id)) AS l ANY LEFT JOIN (SELECT resource_id, argMax(name, seen_at) AS resource_name FROM resource_names GROUP BY resource_id) AS r USING (resource_id)) AS l ANY LEFT JOIN (SELECT meter_id, argMax(meter, stored_at) AS meter, argMax(base_unit, stored_at) AS base_unit,
    argMax(display_unit, stored_at) AS display_unit, argMax(base_per_display, stored_at) AS base_per_display
    FROM meters GROUP BY meter_id) AS r USING (meter_id)) AS l ANY LEFT JOIN (SELECT attributes_id, any(attributes) AS attributes FROM attribute_sets GROUP BY attributes_id) AS r USING (attributes_id)) AS l ANY LEFT JOIN (SELECT tenant_id, any(tenant) AS tenant FROM tenants GROUP BY tenant_id) AS r USING (tenant_id))
COMMENT 'The samples that count now, with names: one row for each cell or event';

CREATE VIEW IF NOT EXISTS v_usage_hourly ON CLUSTER 'metering' AS
SELECT toDateTime(hour_start, 'UTC') AS starts_at, account, site, tenant, kind AS resource_kind, uuid AS resource_uuid,
    resource_name, meter, attributes, quantity_sum AS quantity, base_unit,
    quantity_sum / greatest(base_per_display, 1) AS display_quantity, display_unit,
    covered_sum AS covered_seconds, cell_sum AS cell_seconds, sample_count AS samples,
    account_id, tenant_id, resource_id, meter_id, attributes_id, hour_start
FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (
    SELECT *, arrayElement(own_account,
        arrayFirstIndex((f, t) -> f <= hour_start AND hour_start < t, own_from, own_to)) AS own_payer, arrayElement(wide_account,
        arrayFirstIndex((f, t) -> f <= hour_start AND hour_start < t, wide_from, wide_to)) AS wide_payer,
        if(own_payer != 0, own_payer, wide_payer) AS account_id
    FROM (SELECT * FROM (SELECT * FROM (
    SELECT intDiv(cell_start, 3600) * 3600 AS hour_start, tenant_id, resource_id, meter_id, attributes_id,
        sum(quantity) AS quantity_sum, sum(covered_seconds) AS covered_sum, sum(cell_seconds) AS cell_sum,
        count() AS sample_count
    FROM samples_now
    GROUP BY hour_start, tenant_id, resource_id, meter_id, attributes_id
) AS l ANY LEFT JOIN (SELECT tenant_id, resource_id, groupArray(valid_from) AS own_from, groupArray(valid_to) AS own_to, groupArray(account_id) AS own_account FROM attribution
    WHERE generation IN (SELECT max(generation) FROM attribution_generations) AND resource_id != 0 GROUP BY tenant_id, resource_id) AS r USING (tenant_id, resource_id)) AS l ANY LEFT JOIN (SELECT tenant_id, groupArray(valid_from) AS wide_from, groupArray(valid_to) AS wide_to, groupArray(account_id) AS wide_account FROM attribution
    WHERE generation IN (SELECT max(generation) FROM attribution_generations) AND resource_id = 0 GROUP BY tenant_id) AS r USING (tenant_id))
) AS l ANY LEFT JOIN (SELECT resource_id, any(site_id) AS site_id, any(kind) AS kind, any(uuid) AS uuid FROM resources GROUP BY resource_id) AS r USING (resource_id)) AS l ANY LEFT JOIN (SELECT site_id, any(site) AS site FROM sites GROUP BY site_id) AS r USING (site_id)) AS l ANY LEFT JOIN (SELECT resource_id, argMax(name, seen_at) AS resource_name FROM resource_names GROUP BY resource_id) AS r USING (resource_id)) AS l ANY LEFT JOIN (SELECT meter_id, argMax(meter, stored_at) AS meter, argMax(base_unit, stored_at) AS base_unit,
    argMax(display_unit, stored_at) AS display_unit, argMax(base_per_display, stored_at) AS base_per_display
    FROM meters GROUP BY meter_id) AS r USING (meter_id)) AS l ANY LEFT JOIN (SELECT attributes_id, any(attributes) AS attributes FROM attribute_sets GROUP BY attributes_id) AS r USING (attributes_id)) AS l ANY LEFT JOIN (SELECT tenant_id, any(tenant) AS tenant FROM tenants GROUP BY tenant_id) AS r USING (tenant_id)) AS l ANY LEFT JOIN (SELECT account_id, argMax(account, stored_at) AS account FROM accounts GROUP BY account_id) AS r USING (account_id))
COMMENT 'Usage by UTC hour, with names; the account is the one that pays at the start of the hour';

CREATE VIEW IF NOT EXISTS v_ratings ON CLUSTER 'metering' AS
SELECT account, toDateTime(window_start, 'UTC') AS window_starts_at, toDateTime(window_end, 'UTC') AS window_ends_at,
    price_list, price_list_version, currency, toDecimal128(amount_micros, 6) / 1000000 AS amount,
    lines AS line_count, unpriced AS unpriced_count, settled, revision,
    toDateTime(intDiv(stored_at, 1000000), 'UTC') AS stored_at_utc, account_id, window_start, window_end, digest
FROM (SELECT * FROM (
    SELECT *
    FROM ratings
    ORDER BY account_id, window_start, window_end, settled DESC, revision DESC, stored_at
    LIMIT 1 BY account_id, window_start, window_end
) AS l ANY LEFT JOIN (SELECT account_id, argMax(account, stored_at) AS account FROM accounts GROUP BY account_id) AS r USING (account_id))
COMMENT 'The valid rating of each window of each account, with names';

CREATE VIEW IF NOT EXISTS v_lines ON CLUSTER 'metering' AS
SELECT account, toDateTime(window_start, 'UTC') AS window_starts_at, toDateTime(window_end, 'UTC') AS window_ends_at,
    toDateTime(segment_start, 'UTC') AS starts_at, toDateTime(segment_end, 'UTC') AS ends_at,
    site, kind AS resource_kind, uuid AS resource_uuid, resource_name, meter, attributes, product, price, price_amount,
    unit AS price_unit, price_list, price_list_version, quantity, base_unit,
    quantity / greatest(base_per_display, 1) AS display_quantity, display_unit, covered_seconds,
    toDecimal128(amount_micros, 6) / 1000000 AS amount, currency, settled, revision,
    toDateTime(intDiv(stored_at, 1000000), 'UTC') AS stored_at_utc,
    account_id, resource_id, meter_id, attributes_id, price_id, usage_digest, digest
FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (
    SELECT *
    FROM lines
    WHERE (account_id, window_start, window_end, revision, stored_at) GLOBAL IN (
        SELECT account_id, window_start, window_end, revision, stored_at FROM (
    SELECT *
    FROM ratings
    ORDER BY account_id, window_start, window_end, settled DESC, revision DESC, stored_at
    LIMIT 1 BY account_id, window_start, window_end
)
    )
    LIMIT 1 BY account_id, window_start, window_end, revision, stored_at, segment_start, segment_end, resource_id,
        meter_id, attributes_id, price_id, digest
) AS l ANY LEFT JOIN (SELECT resource_id, any(site_id) AS site_id, any(kind) AS kind, any(uuid) AS uuid FROM resources GROUP BY resource_id) AS r USING (resource_id)) AS l ANY LEFT JOIN (SELECT site_id, any(site) AS site FROM sites GROUP BY site_id) AS r USING (site_id)) AS l ANY LEFT JOIN (SELECT resource_id, argMax(name, seen_at) AS resource_name FROM resource_names GROUP BY resource_id) AS r USING (resource_id)) AS l ANY LEFT JOIN (SELECT meter_id, argMax(meter, stored_at) AS meter, argMax(base_unit, stored_at) AS base_unit,
    argMax(display_unit, stored_at) AS display_unit, argMax(base_per_display, stored_at) AS base_per_display
    FROM meters GROUP BY meter_id) AS r USING (meter_id)) AS l ANY LEFT JOIN (SELECT attributes_id, any(attributes) AS attributes FROM attribute_sets GROUP BY attributes_id) AS r USING (attributes_id)) AS l ANY LEFT JOIN (
    SELECT account_id, window_start, window_end, price_list, price_list_version, currency FROM (
    SELECT *
    FROM ratings
    ORDER BY account_id, window_start, window_end, settled DESC, revision DESC, stored_at
    LIMIT 1 BY account_id, window_start, window_end
)
) AS r USING (account_id, window_start, window_end)) AS l ANY LEFT JOIN (SELECT price_id, argMax(price, stored_at) AS price, argMax(product, stored_at) AS product,
    argMax(unit, stored_at) AS unit, argMax(amount, stored_at) AS price_amount FROM prices GROUP BY price_id) AS r USING (price_id)) AS l ANY LEFT JOIN (SELECT account_id, argMax(account, stored_at) AS account FROM accounts GROUP BY account_id) AS r USING (account_id))
COMMENT 'The valid rated lines, with names and exact amounts; price is empty where none was found';
