"""Fields of Redis's INFO and their metrics, under the names of redis_exporter: its dashboards and rules work."""

from __future__ import annotations

#: INFO field -> metric without ``redis_``. Fields whose metric has the same name stand in ``SAME``.
RENAMED = {
    "allocator_active": "allocator_active_bytes",
    "allocator_allocated": "allocator_allocated_bytes",
    "allocator_resident": "allocator_resident_bytes",
    "client_recent_max_input_buffer": "client_recent_max_input_buffer_bytes",
    "client_recent_max_output_buffer": "client_recent_max_output_buffer_bytes",
    "used_memory": "memory_used_bytes",
    "used_memory_rss": "memory_used_rss_bytes",
    "used_memory_peak": "memory_used_peak_bytes",
    "used_memory_overhead": "memory_used_overhead_bytes",
    "used_memory_dataset": "memory_used_dataset_bytes",
    "used_memory_lua": "memory_used_lua_bytes",
    "used_memory_startup": "memory_used_startup_bytes",
    "maxmemory": "memory_max_bytes",
    "mem_not_counted_for_evict": "mem_not_counted_for_eviction_bytes",
    "expired_stale_perc": "expired_stale_percentage",
    "expired_time_cap_reached_count": "expired_time_cap_reached_total",
    "loading": "loading_dump_file",
    "rdb_last_save_time": "rdb_last_save_timestamp_seconds",
    "rdb_last_bgsave_time_sec": "rdb_last_bgsave_duration_sec",
    "rdb_current_bgsave_time_sec": "rdb_current_bgsave_duration_sec",
    "rdb_last_cow_size": "rdb_last_cow_size_bytes",
    "aof_last_rewrite_time_sec": "aof_last_rewrite_duration_sec",
    "aof_current_size": "aof_current_size_bytes",
    "aof_base_size": "aof_base_size_bytes",
    "repl_backlog_size": "replication_backlog_bytes",
    "repl_backlog_active": "repl_backlog_is_active",
    "repl_backlog_histlen": "repl_backlog_history_bytes",
    "sync_full": "replica_resyncs_full",
    "sync_partial_ok": "replica_partial_resync_accepted",
    "sync_partial_err": "replica_partial_resync_denied",
    "total_connections_received": "connections_received_total",
    "total_commands_processed": "commands_processed_total",
    "total_error_replies": "total_error_replies",
    "rejected_connections": "rejected_connections_total",
    "total_net_input_bytes": "net_input_bytes_total",
    "total_net_output_bytes": "net_output_bytes_total",
    "expired_keys": "expired_keys_total",
    "evicted_keys": "evicted_keys_total",
    "keyspace_hits": "keyspace_hits_total",
    "keyspace_misses": "keyspace_misses_total",
    "used_cpu_sys": "cpu_sys_seconds_total",
    "used_cpu_user": "cpu_user_seconds_total",
    "used_cpu_sys_children": "cpu_sys_children_seconds_total",
    "used_cpu_user_children": "cpu_user_children_seconds_total",
    "maxclients": "max_clients",
    "cluster_stats_messages_sent": "cluster_messages_sent_total",
    "cluster_stats_messages_received": "cluster_messages_received_total",
}

SAME = {
    *("uptime_in_seconds", "connected_clients", "blocked_clients", "tracking_clients", "cluster_enabled"),
    *("allocator_frag_ratio", "allocator_frag_bytes", "allocator_rss_ratio", "allocator_rss_bytes"),
    *("mem_fragmentation_ratio", "mem_fragmentation_bytes", "mem_clients_slaves", "mem_clients_normal"),
    *("lazyfree_pending_objects", "active_defrag_running", "rdb_changes_since_last_save", "rdb_bgsave_in_progress"),
    *("rdb_last_bgsave_status", "aof_enabled", "aof_rewrite_in_progress", "aof_last_bgrewrite_status"),
    *("aof_last_write_status", "aof_pending_bio_fsync", "aof_delayed_fsync", "aof_buffer_length"),
    *("pubsub_channels", "pubsub_patterns", "latest_fork_usec", "instantaneous_ops_per_sec", "connected_slaves"),
    *("master_repl_offset", "second_repl_offset", "slave_repl_offset", "slave_priority", "process_id"),
    *("sentinel_masters", "sentinel_tilt", "sentinel_running_scripts", "sentinel_scripts_queue_length"),
    *("sentinel_simulate_failure_flags", "cluster_state", "cluster_slots_assigned", "cluster_slots_ok"),
    *("cluster_slots_pfail", "cluster_slots_fail", "cluster_known_nodes", "cluster_size", "cluster_current_epoch"),
}

#: Fields that are words: what they are as numbers.
WORDS = {"ok": 1.0, "up": 1.0, "fail": 0.0, "err": 0.0, "down": 0.0}
#: Of a replica: its link to the primary; with labels master_host and master_port.
LINK = {"master_link_status": "master_link_up", "master_last_io_seconds_ago": "", "master_sync_in_progress": ""}
#: Labels of ``redis_instance_info``.
IDENTITY = ("role", "redis_version", "redis_mode", "os", "maxmemory_policy", "tcp_port", "run_id")
