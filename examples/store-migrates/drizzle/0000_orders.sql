CREATE TABLE `orders` (
	`order_id` text PRIMARY KEY NOT NULL,
	`item` text NOT NULL,
	`quantity` integer NOT NULL,
	`run_id` text NOT NULL
);
