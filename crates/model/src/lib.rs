//! What a cluster is: slots, ranges, epochs, addresses, views and their wire form.
