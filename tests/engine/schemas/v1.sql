CREATE TABLE audience (
	destination VARCHAR NOT NULL, 
	segment VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	remote_id VARCHAR, 
	adopted BOOLEAN DEFAULT 0 NOT NULL, 
	filled_at INTEGER, 
	rule_hash VARCHAR, 
	retired BOOLEAN DEFAULT 0 NOT NULL, 
	creating_since INTEGER, 
	apart BOOLEAN DEFAULT 0 NOT NULL, 
	undone INTEGER, 
	PRIMARY KEY (destination, segment)
);
CREATE TABLE cart_lines (
	cart_id INTEGER NOT NULL, 
	id INTEGER NOT NULL, 
	customer_id INTEGER, 
	product_id INTEGER, 
	title VARCHAR, 
	category VARCHAR, 
	brand VARCHAR, 
	quantity INTEGER DEFAULT 0 NOT NULL, 
	gross INTEGER DEFAULT 0 NOT NULL, 
	PRIMARY KEY (cart_id, id)
)
 WITHOUT ROWID;
CREATE TABLE carts (
	id INTEGER NOT NULL, 
	customer_id INTEGER, 
	source_customer_id INTEGER, 
	email_key VARCHAR, 
	created_at INTEGER, 
	updated_at INTEGER, 
	completed_at INTEGER, 
	currency VARCHAR, 
	total INTEGER DEFAULT 0 NOT NULL, 
	checkout_key INTEGER, 
	gone_at INTEGER, 
	digest INTEGER, 
	PRIMARY KEY (id)
);
CREATE TABLE customer_before (
	customer_id INTEGER NOT NULL, 
	at INTEGER NOT NULL, 
	number_of_orders INTEGER, 
	gross_amount INTEGER, 
	amount_discounted INTEGER, 
	amount_paid INTEGER, 
	amount_refunded INTEGER, 
	amount_spent INTEGER, 
	average_order_value FLOAT, 
	first_order_date INTEGER, 
	last_order_date INTEGER, 
	mean_days_between_orders FLOAT, 
	median_days_between_orders FLOAT, 
	purchase_days INTEGER, 
	mean_days_between_purchase_days FLOAT, 
	median_days_between_purchase_days FLOAT, 
	purchase_days_last_365d INTEGER, 
	active_quarters INTEGER, 
	orders_last_30d INTEGER, 
	orders_last_90d INTEGER, 
	orders_last_365d INTEGER, 
	spent_last_90d INTEGER, 
	spent_last_365d INTEGER, 
	spent_prior_90d INTEGER, 
	discount_share FLOAT, 
	discounted_orders_share FLOAT, 
	coupon_orders_share FLOAT, 
	full_price_orders_share FLOAT, 
	refund_rate FLOAT, 
	refunded_orders_share FLOAT, 
	items_purchased INTEGER, 
	distinct_products INTEGER, 
	distinct_categories INTEGER, 
	distinct_brands INTEGER, 
	top_category TEXT, 
	top_category_share FLOAT, 
	top_brand TEXT, 
	top_brand_share FLOAT, 
	open_carts INTEGER, 
	open_cart_value INTEGER, 
	abandoned_checkout_date INTEGER, 
	open_carts_last_30d INTEGER, 
	open_carts_without_later_order INTEGER, 
	nov_dec_orders_share FLOAT, 
	weekend_orders_share FLOAT, 
	last_email_open_date INTEGER, 
	last_email_click_date INTEGER, 
	email_clicks_last_90d INTEGER, 
	email_received_last_90d INTEGER, 
	money_orders INTEGER, 
	first_order_id INTEGER, 
	second_purchase_gap INTEGER, 
	last_purchase_gap INTEGER, 
	earlier_median_gap FLOAT, 
	next_eval_at INTEGER, 
	PRIMARY KEY (customer_id, at)
)
 WITHOUT ROWID;
CREATE TABLE customer_gaps (
	customer_id INTEGER NOT NULL, 
	days INTEGER NOT NULL, 
	times INTEGER NOT NULL, 
	PRIMARY KEY (customer_id, days)
)
 WITHOUT ROWID;
CREATE TABLE customer_metrics (
	customer_id INTEGER NOT NULL, 
	number_of_orders INTEGER, 
	gross_amount INTEGER, 
	amount_discounted INTEGER, 
	amount_paid INTEGER, 
	amount_refunded INTEGER, 
	amount_spent INTEGER, 
	average_order_value FLOAT, 
	first_order_date INTEGER, 
	last_order_date INTEGER, 
	mean_days_between_orders FLOAT, 
	median_days_between_orders FLOAT, 
	purchase_days INTEGER, 
	mean_days_between_purchase_days FLOAT, 
	median_days_between_purchase_days FLOAT, 
	purchase_days_last_365d INTEGER, 
	active_quarters INTEGER, 
	orders_last_30d INTEGER, 
	orders_last_90d INTEGER, 
	orders_last_365d INTEGER, 
	spent_last_90d INTEGER, 
	spent_last_365d INTEGER, 
	spent_prior_90d INTEGER, 
	discount_share FLOAT, 
	discounted_orders_share FLOAT, 
	coupon_orders_share FLOAT, 
	full_price_orders_share FLOAT, 
	refund_rate FLOAT, 
	refunded_orders_share FLOAT, 
	items_purchased INTEGER, 
	distinct_products INTEGER, 
	distinct_categories INTEGER, 
	distinct_brands INTEGER, 
	top_category TEXT, 
	top_category_share FLOAT, 
	top_brand TEXT, 
	top_brand_share FLOAT, 
	open_carts INTEGER, 
	open_cart_value INTEGER, 
	abandoned_checkout_date INTEGER, 
	open_carts_last_30d INTEGER, 
	open_carts_without_later_order INTEGER, 
	nov_dec_orders_share FLOAT, 
	weekend_orders_share FLOAT, 
	last_email_open_date INTEGER, 
	last_email_click_date INTEGER, 
	email_clicks_last_90d INTEGER, 
	email_received_last_90d INTEGER, 
	money_orders INTEGER, 
	first_order_id INTEGER, 
	second_purchase_gap INTEGER, 
	last_purchase_gap INTEGER, 
	earlier_median_gap FLOAT, 
	next_eval_at INTEGER, 
	last_gap_ratio_before_order FLOAT, 
	expected_days_between_orders FLOAT, 
	recency_score INTEGER, 
	frequency_score INTEGER, 
	monetary_score INTEGER, 
	rfm_group TEXT, 
	rfm_group_klaviyo TEXT, 
	rfm_group_classic TEXT, 
	lifecycle_stage TEXT, 
	PRIMARY KEY (customer_id)
);
CREATE TABLE customer_tags (
	customer_id INTEGER NOT NULL, 
	tag VARCHAR NOT NULL, 
	ours BOOLEAN DEFAULT 0 NOT NULL, 
	PRIMARY KEY (customer_id, tag)
)
 WITHOUT ROWID;
CREATE TABLE customers (
	id INTEGER NOT NULL, 
	created_at INTEGER, 
	updated_at INTEGER, 
	email VARCHAR, 
	email_key VARCHAR, 
	first_name VARCHAR, 
	last_name VARCHAR, 
	language VARCHAR, 
	country VARCHAR, 
	region VARCHAR, 
	city VARCHAR, 
	email_status VARCHAR, 
	email_status_at INTEGER, 
	sms_status VARCHAR, 
	account_state VARCHAR, 
	platform_orders INTEGER, 
	platform_rfm_group VARCHAR, 
	platform_spend_tier VARCHAR, 
	gone_at INTEGER, 
	digest INTEGER, 
	merged_into INTEGER, 
	PRIMARY KEY (id)
);
CREATE TABLE dirty (
	customer_id INTEGER NOT NULL, 
	PRIMARY KEY (customer_id)
);
CREATE TABLE evaluation (
	run_id INTEGER NOT NULL, 
	at INTEGER NOT NULL, 
	since INTEGER, 
	ruled VARCHAR NOT NULL, 
	PRIMARY KEY (run_id)
);
CREATE TABLE events (
	id INTEGER NOT NULL, 
	customer_id INTEGER, 
	source_customer_id INTEGER, 
	email_key VARCHAR, 
	name VARCHAR, 
	campaign VARCHAR, 
	at INTEGER, 
	updated_at INTEGER, 
	gone_at INTEGER, 
	digest INTEGER, 
	PRIMARY KEY (id)
);
CREATE TABLE external_id (
	id INTEGER NOT NULL, 
	external VARCHAR NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE field_ledger (
	destination VARCHAR NOT NULL, 
	customer_id INTEGER NOT NULL, 
	digest VARCHAR NOT NULL, 
	at INTEGER NOT NULL, 
	refused VARCHAR, 
	PRIMARY KEY (destination, customer_id)
)
 WITHOUT ROWID;
CREATE TABLE identity (
	destination VARCHAR NOT NULL, 
	email_key VARCHAR NOT NULL, 
	remote_id VARCHAR, 
	mailable BOOLEAN NOT NULL, 
	reason VARCHAR, 
	subscribed BOOLEAN DEFAULT 0 NOT NULL, 
	checked_at INTEGER NOT NULL, 
	PRIMARY KEY (destination, email_key)
);
CREATE TABLE ledger (
	destination VARCHAR NOT NULL, 
	segment VARCHAR NOT NULL, 
	customer_id INTEGER NOT NULL, 
	remote_id VARCHAR, 
	run_id INTEGER NOT NULL, 
	at INTEGER NOT NULL, 
	refused VARCHAR, 
	email_key VARCHAR, 
	PRIMARY KEY (destination, segment, customer_id)
)
 WITHOUT ROWID;
CREATE TABLE membership (
	segment VARCHAR NOT NULL, 
	customer_id INTEGER NOT NULL, 
	since INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	PRIMARY KEY (segment, customer_id)
)
 WITHOUT ROWID;
CREATE TABLE membership_event (
	id INTEGER NOT NULL, 
	segment VARCHAR NOT NULL, 
	customer_id INTEGER NOT NULL, 
	entered BOOLEAN NOT NULL, 
	at INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	rule_hash VARCHAR NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE membership_mask (
	customer_id INTEGER NOT NULL, 
	word INTEGER NOT NULL, 
	mask BIGINT NOT NULL, 
	PRIMARY KEY (customer_id, word)
)
 WITHOUT ROWID;
CREATE TABLE meta (
	"key" VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE order_codes (
	order_id INTEGER NOT NULL, 
	code VARCHAR NOT NULL, 
	customer_id INTEGER, 
	PRIMARY KEY (order_id, code)
)
 WITHOUT ROWID;
CREATE TABLE order_lines (
	order_id INTEGER NOT NULL, 
	id INTEGER NOT NULL, 
	customer_id INTEGER, 
	placed_at INTEGER, 
	product_id INTEGER, 
	title VARCHAR, 
	category VARCHAR, 
	brand VARCHAR, 
	quantity INTEGER DEFAULT 0 NOT NULL, 
	gross INTEGER DEFAULT 0 NOT NULL, 
	discount INTEGER DEFAULT 0 NOT NULL, 
	net INTEGER DEFAULT 0 NOT NULL, 
	PRIMARY KEY (order_id, id)
)
 WITHOUT ROWID;
CREATE TABLE orders (
	id INTEGER NOT NULL, 
	customer_id INTEGER, 
	source_customer_id INTEGER, 
	email_key VARCHAR, 
	name VARCHAR, 
	placed_at INTEGER, 
	local_day INTEGER, 
	local_month INTEGER, 
	created_at INTEGER, 
	updated_at INTEGER, 
	currency VARCHAR, 
	gross INTEGER DEFAULT 0 NOT NULL, 
	discount INTEGER DEFAULT 0 NOT NULL, 
	total INTEGER DEFAULT 0 NOT NULL, 
	refunded INTEGER DEFAULT 0 NOT NULL, 
	coupon BOOLEAN DEFAULT 0 NOT NULL, 
	test BOOLEAN DEFAULT 0 NOT NULL, 
	cancelled_at INTEGER, 
	status VARCHAR, 
	channel VARCHAR, 
	checkout_key INTEGER, 
	gone_at INTEGER, 
	digest INTEGER, 
	PRIMARY KEY (id)
);
CREATE TABLE outbox (
	id INTEGER NOT NULL, 
	plan_id VARCHAR NOT NULL, 
	run_id INTEGER NOT NULL, 
	destination VARCHAR NOT NULL, 
	segment VARCHAR NOT NULL, 
	customer_id INTEGER NOT NULL, 
	action VARCHAR NOT NULL, 
	quiet BOOLEAN DEFAULT 0 NOT NULL, 
	state VARCHAR NOT NULL, 
	attempts INTEGER DEFAULT 0 NOT NULL, 
	reason VARCHAR, 
	updated_at INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE owner_move (
	source_customer_id INTEGER NOT NULL, 
	target_customer_id INTEGER NOT NULL, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (source_customer_id, target_customer_id)
)
 WITHOUT ROWID;
CREATE TABLE "plan" (
	id VARCHAR NOT NULL, 
	run_id INTEGER NOT NULL, 
	now INTEGER NOT NULL, 
	made_at INTEGER NOT NULL, 
	applied_at INTEGER, 
	body VARCHAR NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE plan_op (
	id INTEGER NOT NULL, 
	destination VARCHAR NOT NULL, 
	segment VARCHAR NOT NULL, 
	customer_id INTEGER NOT NULL, 
	action VARCHAR NOT NULL, 
	why VARCHAR NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE product_tags (
	product_id INTEGER NOT NULL, 
	tag VARCHAR NOT NULL, 
	PRIMARY KEY (product_id, tag)
)
 WITHOUT ROWID;
CREATE TABLE products (
	id INTEGER NOT NULL, 
	title VARCHAR, 
	category VARCHAR, 
	brand VARCHAR, 
	updated_at INTEGER, 
	gone_at INTEGER, 
	digest INTEGER, 
	PRIMARY KEY (id)
);
CREATE TABLE quarantine (
	stream VARCHAR NOT NULL, 
	record_id VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	record VARCHAR NOT NULL, 
	run_id INTEGER NOT NULL, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (stream, record_id)
);
CREATE TABLE refunds (
	order_id INTEGER NOT NULL, 
	id INTEGER NOT NULL, 
	customer_id INTEGER, 
	refunded_at INTEGER, 
	amount INTEGER DEFAULT 0 NOT NULL, 
	PRIMARY KEY (order_id, id)
)
 WITHOUT ROWID;
CREATE TABLE refusal (
	destination VARCHAR NOT NULL, 
	customer_id INTEGER NOT NULL, 
	reason VARCHAR NOT NULL, 
	at INTEGER NOT NULL, 
	record VARCHAR, 
	PRIMARY KEY (destination, customer_id)
);
CREATE TABLE segment_state (
	"key" VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	rule_hash VARCHAR NOT NULL, 
	bit INTEGER NOT NULL, 
	size INTEGER DEFAULT 0 NOT NULL, 
	missing VARCHAR, 
	evaluated_at INTEGER, 
	PRIMARY KEY ("key")
);
CREATE TABLE store_figures (
	name TEXT NOT NULL, 
	value FLOAT, 
	PRIMARY KEY (name)
);
CREATE TABLE store_gaps (
	days INTEGER NOT NULL, 
	times INTEGER NOT NULL, 
	PRIMARY KEY (days)
);
CREATE TABLE stream_state (
	stream VARCHAR NOT NULL, 
	high_water INTEGER, 
	page_token VARCHAR, 
	since INTEGER, 
	until INTEGER, 
	seen INTEGER, 
	completed_at INTEGER, 
	swept_at INTEGER, 
	PRIMARY KEY (stream)
);
CREATE TABLE sync_run (
	id INTEGER NOT NULL, 
	command VARCHAR NOT NULL, 
	now INTEGER NOT NULL, 
	started_at INTEGER NOT NULL, 
	finished_at INTEGER, 
	exit_code INTEGER, 
	report VARCHAR, 
	PRIMARY KEY (id)
);
CREATE TABLE withdrawn (
	destination VARCHAR NOT NULL, 
	segment VARCHAR NOT NULL, 
	customer_id INTEGER NOT NULL, 
	again BOOLEAN DEFAULT 0 NOT NULL, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (destination, segment, customer_id)
)
 WITHOUT ROWID;
CREATE TABLE yardstick (
	name VARCHAR NOT NULL, 
	run_id INTEGER NOT NULL, 
	"before" FLOAT, 
	value FLOAT, 
	PRIMARY KEY (name, run_id)
)
 WITHOUT ROWID;
CREATE INDEX ix_customer_before_at ON customer_before (at);
CREATE INDEX ix_customer_metrics_next_eval_at ON customer_metrics (next_eval_at);
CREATE INDEX ix_identity_remote ON identity (destination, remote_id) WHERE remote_id IS NOT NULL;
CREATE INDEX ix_ledger_refused ON ledger (destination) WHERE refused IS NOT NULL;
CREATE INDEX ix_outbox_key ON outbox (destination, segment, customer_id) WHERE state IN ('pending', 'sent', 'retry');
CREATE INDEX ix_outbox_open ON outbox (destination, id) WHERE state IN ('pending', 'sent', 'retry');
