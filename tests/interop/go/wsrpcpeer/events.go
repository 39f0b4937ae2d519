package main

import "wirecore.test/peers/events"

type (
	fields   = events.Fields
	reporter = events.Reporter
)
