CREATE TABLE IF NOT EXISTS samples (
    site_id UInt64,
    tenant_id UInt64,
    resource_id UInt64,
    meter_id UInt32,
    attributes_id UInt64,
    cell_start UInt32,
    cell_seconds UInt32,
    covered_seconds UInt32,
    quantity Int64,
    revision UInt16,
    rank UInt64,
    stored_at UInt64,
    age UInt64 MATERIALIZED 18446744073709551615 - stored_at
) ENGINE = ReplacingMergeTree(age)
PARTITION BY toYYYYMM(toDateTime(cell_start, 'UTC'))
ORDER BY (resource_id, meter_id, cell_start, rank);

CREATE TABLE IF NOT EXISTS events (
    site_id UInt64,
    tenant_id UInt64,
    resource_id UInt64,
    meter_id UInt32,
    attributes_id UInt64,
    cell_start UInt32,
    cell_seconds UInt32,
    covered_seconds UInt32,
    quantity Int64,
    revision UInt16,
    rank UInt64,
    stored_at UInt64,
    age UInt64 MATERIALIZED 18446744073709551615 - stored_at,
    event_high UInt64,
    event_low UInt64
) ENGINE = ReplacingMergeTree(age)
PARTITION BY toYYYYMM(toDateTime(cell_start, 'UTC'))
ORDER BY (event_high, event_low, rank);

CREATE TABLE IF NOT EXISTS touches (
    tenant_id UInt64,
    day UInt32,
    stored_at UInt64
) ENGINE = ReplacingMergeTree()
ORDER BY (stored_at, tenant_id, day);

CREATE TABLE IF NOT EXISTS intake (
    site String,
    collector String,
    sequence UInt64,
    replay_of String,
    origin String,
    samples UInt64,
    stored UInt64,
    dead UInt64,
    stored_at UInt64,
    age UInt64 MATERIALIZED 18446744073709551615 - stored_at
) ENGINE = ReplacingMergeTree(age)
ORDER BY (site, collector, sequence, replay_of);

CREATE TABLE IF NOT EXISTS ratings (
    account_id UInt64,
    window_start UInt32,
    window_end UInt32,
    revision UInt64,
    settled UInt8,
    price_list String,
    price_list_version UInt32,
    currency String,
    lines UInt64,
    unpriced UInt64,
    amount_micros Int64,
    digest UInt64,
    stored_at UInt64
) ENGINE = ReplacingMergeTree()
ORDER BY (account_id, window_start, window_end, revision, settled, stored_at);

CREATE TABLE IF NOT EXISTS lines (
    account_id UInt64,
    window_start UInt32,
    window_end UInt32,
    revision UInt64,
    settled UInt8,
    segment_start UInt32,
    segment_end UInt32,
    resource_id UInt64,
    meter_id UInt32,
    attributes_id UInt64,
    price_id UInt64,
    quantity Int64,
    covered_seconds Int64,
    amount_micros Int64,
    usage_digest UInt64,
    digest UInt64,
    stored_at UInt64
) ENGINE = ReplacingMergeTree()
PARTITION BY toYYYYMM(toDateTime(window_start, 'UTC'))
ORDER BY (account_id, window_start, window_end, revision, stored_at, segment_start, segment_end, resource_id, meter_id, attributes_id, price_id, digest);

CREATE TABLE IF NOT EXISTS sites (
    site_id UInt64,
    site String,
    stored_at UInt64
) ENGINE = ReplacingMergeTree(stored_at)
ORDER BY (site_id);

CREATE TABLE IF NOT EXISTS tenants (
    tenant_id UInt64,
    site_id UInt64,
    tenant String,
    stored_at UInt64
) ENGINE = ReplacingMergeTree(stored_at)
ORDER BY (tenant_id);

CREATE TABLE IF NOT EXISTS resources (
    resource_id UInt64,
    site_id UInt64,
    kind String,
    uuid String,
    stored_at UInt64
) ENGINE = ReplacingMergeTree(stored_at)
ORDER BY (resource_id);

CREATE TABLE IF NOT EXISTS resource_tenants (
    tenant_id UInt64,
    resource_id UInt64,
    stored_at UInt64
) ENGINE = ReplacingMergeTree(stored_at)
ORDER BY (tenant_id, resource_id);

CREATE TABLE IF NOT EXISTS attribute_sets (
    attributes_id UInt64,
    attributes String,
    stored_at UInt64
) ENGINE = ReplacingMergeTree(stored_at)
ORDER BY (attributes_id);

CREATE TABLE IF NOT EXISTS resource_names (
    resource_id UInt64,
    name String,
    seen_at UInt64,
    stored_at UInt64
) ENGINE = ReplacingMergeTree(seen_at)
ORDER BY (resource_id);

CREATE TABLE IF NOT EXISTS accounts (
    account_id UInt64,
    account String,
    stored_at UInt64
) ENGINE = ReplacingMergeTree(stored_at)
ORDER BY (account_id);

CREATE TABLE IF NOT EXISTS prices (
    price_id UInt64,
    price_list String,
    version UInt32,
    price String,
    product String,
    meter String,
    unit String,
    amount String,
    currency String,
    stored_at UInt64
) ENGINE = ReplacingMergeTree(stored_at)
ORDER BY (price_id);

CREATE TABLE IF NOT EXISTS meters (
    meter_id UInt32,
    meter String,
    base_unit String,
    display_unit String,
    base_per_display UInt64,
    stored_at UInt64
) ENGINE = ReplacingMergeTree(stored_at)
ORDER BY (meter_id);

CREATE TABLE IF NOT EXISTS attribution (
    generation UInt64,
    tenant_id UInt64,
    resource_id UInt64,
    valid_from UInt32,
    valid_to UInt32,
    account_id UInt64,
    stored_at UInt64
) ENGINE = ReplacingMergeTree()
ORDER BY (generation, tenant_id, resource_id, valid_from, account_id);

CREATE TABLE IF NOT EXISTS attribution_generations (
    generation UInt64,
    row_count UInt64,
    stored_at UInt64
) ENGINE = ReplacingMergeTree()
ORDER BY (generation);

CREATE VIEW IF NOT EXISTS samples_now AS
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
);

CREATE VIEW IF NOT EXISTS v_samples AS
SELECT site, tenant, kind AS resource_kind, uuid AS resource_uuid, resource_name, meter, attributes,
    toDateTime(cell_start, 'UTC') AS starts_at, cell_seconds, covered_seconds, quantity, base_unit,
    quantity / greatest(base_per_display, 1) AS display_quantity, display_unit, revision,
    toDateTime(intDiv(stored_at, 1000000), 'UTC') AS stored_at_utc,
    tenant_id, resource_id, meter_id, attributes_id, cell_start
FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM (SELECT * FROM samples_now AS l ANY LEFT JOIN (SELECT resource_id, any(site_id) AS site_id, any(kind) AS kind, any(uuid) AS uuid FROM resources GROUP BY resource_id) AS r USING (resource_id)) AS l ANY LEFT JOIN (SELECT site_id, any(site) AS site FROM sites GROUP BY site_id) AS r USING (site_id)) AS l ANY LEFT JOIN (SELECT resource_id, argMax(name, seen_at) AS resource_name FROM resource_names GROUP BY resource_id) AS r USING (resource_id)) AS l ANY LEFT JOIN (SELECT meter_id, argMax(meter, stored_at) AS meter, argMax(base_unit, stored_at) AS base_unit,
    argMax(display_unit, stored_at) AS display_unit, argMax(base_per_display, stored_at) AS base_per_display
    FROM meters GROUP BY meter_id) AS r USING (meter_id)) AS l ANY LEFT JOIN (SELECT attributes_id, any(attributes) AS attributes FROM attribute_sets GROUP BY attributes_id) AS r USING (attributes_id)) AS l ANY LEFT JOIN (SELECT tenant_id, any(tenant) AS tenant FROM tenants GROUP BY tenant_id) AS r USING (tenant_id));

CREATE VIEW IF NOT EXISTS v_usage_hourly AS
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
    FROM meters GROUP BY meter_id) AS r USING (meter_id)) AS l ANY LEFT JOIN (SELECT attributes_id, any(attributes) AS attributes FROM attribute_sets GROUP BY attributes_id) AS r USING (attributes_id)) AS l ANY LEFT JOIN (SELECT tenant_id, any(tenant) AS tenant FROM tenants GROUP BY tenant_id) AS r USING (tenant_id)) AS l ANY LEFT JOIN (SELECT account_id, argMax(account, stored_at) AS account FROM accounts GROUP BY account_id) AS r USING (account_id));

CREATE VIEW IF NOT EXISTS v_ratings AS
SELECT account, toDateTime(window_start, 'UTC') AS window_starts_at, toDateTime(window_end, 'UTC') AS window_ends_at,
    price_list, price_list_version, currency, toDecimal128(amount_micros, 6) / 1000000 AS amount,
    lines AS line_count, unpriced AS unpriced_count, settled, revision,
    toDateTime(intDiv(stored_at, 1000000), 'UTC') AS stored_at_utc, account_id, window_start, window_end, digest
FROM (SELECT * FROM (
    SELECT *
    FROM ratings
    ORDER BY account_id, window_start, window_end, settled DESC, revision DESC, stored_at
    LIMIT 1 BY account_id, window_start, window_end
) AS l ANY LEFT JOIN (SELECT account_id, argMax(account, stored_at) AS account FROM accounts GROUP BY account_id) AS r USING (account_id));

CREATE VIEW IF NOT EXISTS v_lines AS
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
    WHERE (account_id, window_start, window_end, revision, stored_at) IN (
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
    argMax(unit, stored_at) AS unit, argMax(amount, stored_at) AS price_amount FROM prices GROUP BY price_id) AS r USING (price_id)) AS l ANY LEFT JOIN (SELECT account_id, argMax(account, stored_at) AS account FROM accounts GROUP BY account_id) AS r USING (account_id));
