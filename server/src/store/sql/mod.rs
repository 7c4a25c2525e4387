//! SQL databases: the tables of FreeRADIUS, on PostgreSQL and on embedded SQLite.

pub mod connect;
