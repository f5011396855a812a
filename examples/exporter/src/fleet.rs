pub async fn fleet(_: crate::args::FleetArgs) -> crate::Result { Ok(()) }
