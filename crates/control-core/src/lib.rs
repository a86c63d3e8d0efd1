//! The control plane's decisions without IO: metadata, allocation, failover and scaling plans.
