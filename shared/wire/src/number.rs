//! Attribute numbers (IANA, "RADIUS Types"): those that code refers to. Names for people are the dictionary's affair.

/// User-Name (RFC 2865).
pub const USER_NAME: u8 = 1;
/// User-Password (RFC 2865).
pub const USER_PASSWORD: u8 = 2;
/// CHAP-Password (RFC 2865).
pub const CHAP_PASSWORD: u8 = 3;
/// NAS-IP-Address (RFC 2865).
pub const NAS_IP_ADDRESS: u8 = 4;
/// NAS-Port (RFC 2865).
pub const NAS_PORT: u8 = 5;
/// Service-Type (RFC 2865).
pub const SERVICE_TYPE: u8 = 6;
/// Framed-Protocol (RFC 2865).
pub const FRAMED_PROTOCOL: u8 = 7;
/// Framed-IP-Address (RFC 2865).
pub const FRAMED_IP_ADDRESS: u8 = 8;
/// Framed-IP-Netmask (RFC 2865).
pub const FRAMED_IP_NETMASK: u8 = 9;
/// Framed-Routing (RFC 2865).
pub const FRAMED_ROUTING: u8 = 10;
/// Filter-Id (RFC 2865).
pub const FILTER_ID: u8 = 11;
/// Framed-MTU (RFC 2865).
pub const FRAMED_MTU: u8 = 12;
/// Framed-Compression (RFC 2865).
pub const FRAMED_COMPRESSION: u8 = 13;
/// Login-IP-Host (RFC 2865).
pub const LOGIN_IP_HOST: u8 = 14;
/// Login-Service (RFC 2865).
pub const LOGIN_SERVICE: u8 = 15;
/// Login-TCP-Port (RFC 2865).
pub const LOGIN_TCP_PORT: u8 = 16;
/// Reply-Message (RFC 2865).
pub const REPLY_MESSAGE: u8 = 18;
/// Callback-Number (RFC 2865).
pub const CALLBACK_NUMBER: u8 = 19;
/// Callback-Id (RFC 2865).
pub const CALLBACK_ID: u8 = 20;
/// Framed-Route (RFC 2865).
pub const FRAMED_ROUTE: u8 = 22;
/// Framed-IPX-Network (RFC 2865).
pub const FRAMED_IPX_NETWORK: u8 = 23;
/// State (RFC 2865).
pub const STATE: u8 = 24;
/// Class (RFC 2865).
pub const CLASS: u8 = 25;
/// Vendor-Specific (RFC 2865).
pub const VENDOR_SPECIFIC: u8 = 26;
/// Session-Timeout (RFC 2865).
pub const SESSION_TIMEOUT: u8 = 27;
/// Idle-Timeout (RFC 2865).
pub const IDLE_TIMEOUT: u8 = 28;
/// Termination-Action (RFC 2865).
pub const TERMINATION_ACTION: u8 = 29;
/// Called-Station-Id (RFC 2865).
pub const CALLED_STATION_ID: u8 = 30;
/// Calling-Station-Id (RFC 2865).
pub const CALLING_STATION_ID: u8 = 31;
/// NAS-Identifier (RFC 2865).
pub const NAS_IDENTIFIER: u8 = 32;
/// Proxy-State (RFC 2865).
pub const PROXY_STATE: u8 = 33;
/// Login-LAT-Service (RFC 2865).
pub const LOGIN_LAT_SERVICE: u8 = 34;
/// Login-LAT-Node (RFC 2865).
pub const LOGIN_LAT_NODE: u8 = 35;
/// Login-LAT-Group (RFC 2865).
pub const LOGIN_LAT_GROUP: u8 = 36;
/// Acct-Status-Type (RFC 2866).
pub const ACCT_STATUS_TYPE: u8 = 40;
/// Acct-Delay-Time (RFC 2866).
pub const ACCT_DELAY_TIME: u8 = 41;
/// Acct-Input-Octets (RFC 2866).
pub const ACCT_INPUT_OCTETS: u8 = 42;
/// Acct-Output-Octets (RFC 2866).
pub const ACCT_OUTPUT_OCTETS: u8 = 43;
/// Acct-Session-Id (RFC 2866).
pub const ACCT_SESSION_ID: u8 = 44;
/// Acct-Authentic (RFC 2866).
pub const ACCT_AUTHENTIC: u8 = 45;
/// Acct-Session-Time (RFC 2866).
pub const ACCT_SESSION_TIME: u8 = 46;
/// Acct-Input-Packets (RFC 2866).
pub const ACCT_INPUT_PACKETS: u8 = 47;
/// Acct-Output-Packets (RFC 2866).
pub const ACCT_OUTPUT_PACKETS: u8 = 48;
/// Acct-Terminate-Cause (RFC 2866).
pub const ACCT_TERMINATE_CAUSE: u8 = 49;
/// Acct-Multi-Session-Id (RFC 2866).
pub const ACCT_MULTI_SESSION_ID: u8 = 50;
/// Acct-Link-Count (RFC 2866).
pub const ACCT_LINK_COUNT: u8 = 51;
/// Acct-Input-Gigawords (RFC 2869).
pub const ACCT_INPUT_GIGAWORDS: u8 = 52;
/// Acct-Output-Gigawords (RFC 2869).
pub const ACCT_OUTPUT_GIGAWORDS: u8 = 53;
/// Event-Timestamp (RFC 2869).
pub const EVENT_TIMESTAMP: u8 = 55;
/// Egress-VLANID (RFC 4675).
pub const EGRESS_VLANID: u8 = 56;
/// CHAP-Challenge (RFC 2865).
pub const CHAP_CHALLENGE: u8 = 60;
/// NAS-Port-Type (RFC 2865).
pub const NAS_PORT_TYPE: u8 = 61;
/// Port-Limit (RFC 2865).
pub const PORT_LIMIT: u8 = 62;
/// Login-LAT-Port (RFC 2865).
pub const LOGIN_LAT_PORT: u8 = 63;
/// Tunnel-Type (RFC 2868).
pub const TUNNEL_TYPE: u8 = 64;
/// Tunnel-Medium-Type (RFC 2868).
pub const TUNNEL_MEDIUM_TYPE: u8 = 65;
/// Tunnel-Client-Endpoint (RFC 2868).
pub const TUNNEL_CLIENT_ENDPOINT: u8 = 66;
/// Tunnel-Server-Endpoint (RFC 2868).
pub const TUNNEL_SERVER_ENDPOINT: u8 = 67;
/// Acct-Tunnel-Connection (RFC 2867).
pub const ACCT_TUNNEL_CONNECTION: u8 = 68;
/// Tunnel-Password (RFC 2868).
pub const TUNNEL_PASSWORD: u8 = 69;
/// Connect-Info (RFC 2869).
pub const CONNECT_INFO: u8 = 77;
/// Configuration-Token (RFC 2869).
pub const CONFIGURATION_TOKEN: u8 = 78;
/// EAP-Message (RFC 3579).
pub const EAP_MESSAGE: u8 = 79;
/// Message-Authenticator (RFC 3579).
pub const MESSAGE_AUTHENTICATOR: u8 = 80;
/// Tunnel-Private-Group-Id (RFC 2868).
pub const TUNNEL_PRIVATE_GROUP_ID: u8 = 81;
/// Tunnel-Assignment-Id (RFC 2868).
pub const TUNNEL_ASSIGNMENT_ID: u8 = 82;
/// Tunnel-Preference (RFC 2868).
pub const TUNNEL_PREFERENCE: u8 = 83;
/// Acct-Interim-Interval (RFC 2869).
pub const ACCT_INTERIM_INTERVAL: u8 = 85;
/// Acct-Tunnel-Packets-Lost (RFC 2867).
pub const ACCT_TUNNEL_PACKETS_LOST: u8 = 86;
/// NAS-Port-Id (RFC 2869).
pub const NAS_PORT_ID: u8 = 87;
/// Framed-Pool (RFC 2869).
pub const FRAMED_POOL: u8 = 88;
/// Chargeable-User-Identity (RFC 4372).
pub const CHARGEABLE_USER_IDENTITY: u8 = 89;
/// Tunnel-Client-Auth-Id (RFC 2868).
pub const TUNNEL_CLIENT_AUTH_ID: u8 = 90;
/// Tunnel-Server-Auth-Id (RFC 2868).
pub const TUNNEL_SERVER_AUTH_ID: u8 = 91;
/// NAS-Filter-Rule (RFC 4849).
pub const NAS_FILTER_RULE: u8 = 92;
/// Originating-Line-Info (RFC 7155).
pub const ORIGINATING_LINE_INFO: u8 = 94;
/// NAS-IPv6-Address (RFC 3162).
pub const NAS_IPV6_ADDRESS: u8 = 95;
/// Framed-Interface-Id (RFC 3162).
pub const FRAMED_INTERFACE_ID: u8 = 96;
/// Framed-IPv6-Prefix (RFC 3162).
pub const FRAMED_IPV6_PREFIX: u8 = 97;
/// Login-IPv6-Host (RFC 3162).
pub const LOGIN_IPV6_HOST: u8 = 98;
/// Framed-IPv6-Route (RFC 3162).
pub const FRAMED_IPV6_ROUTE: u8 = 99;
/// Framed-IPv6-Pool (RFC 3162).
pub const FRAMED_IPV6_POOL: u8 = 100;
/// Error-Cause (RFC 5176).
pub const ERROR_CAUSE: u8 = 101;
/// EAP-Key-Name (RFC 4072).
pub const EAP_KEY_NAME: u8 = 102;
/// Delegated-IPv6-Prefix (RFC 4818).
pub const DELEGATED_IPV6_PREFIX: u8 = 123;
/// Operator-Name (RFC 5580).
pub const OPERATOR_NAME: u8 = 126;
/// DS-Lite-Tunnel-Name (RFC 6519).
pub const DS_LITE_TUNNEL_NAME: u8 = 144;
/// Framed-IPv6-Address (RFC 6911).
pub const FRAMED_IPV6_ADDRESS: u8 = 168;
/// DNS-Server-IPv6-Address (RFC 6911).
pub const DNS_SERVER_IPV6_ADDRESS: u8 = 169;
/// Route-IPv6-Information (RFC 6911).
pub const ROUTE_IPV6_INFORMATION: u8 = 170;
/// Delegated-IPv6-Prefix-Pool (RFC 6911).
pub const DELEGATED_IPV6_PREFIX_POOL: u8 = 171;
/// Stateful-IPv6-Address-Pool (RFC 6911).
pub const STATEFUL_IPV6_ADDRESS_POOL: u8 = 172;
/// Extended-1 (RFC 6929).
pub const EXTENDED_1: u8 = 241;
/// Extended-2 (RFC 6929).
pub const EXTENDED_2: u8 = 242;
/// Extended-3 (RFC 6929).
pub const EXTENDED_3: u8 = 243;
/// Extended-4 (RFC 6929).
pub const EXTENDED_4: u8 = 244;
/// Extended-5 (RFC 6929).
pub const EXTENDED_5: u8 = 245;
/// Extended-6 (RFC 6929).
pub const EXTENDED_6: u8 = 246;
