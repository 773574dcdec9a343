-- Configuration of the plugin aidr.
return {
  name = "aidr",
  fields = {
    { config = {
      type = "record",
      fields = {
        -- Address of aidr run or, better, of aidr decide on the same host.
        { url = { type = "string", required = true, default = "http://127.0.0.1:8473" } },
        { token = { type = "string", required = false, encrypted = true, referenceable = true } },
        { timeout_ms = { type = "number", required = true, default = 200, gt = 0 } },
        -- What happens if no answer comes in time, or the answer is unknown: allow or deny.
        { on_error = { type = "string", required = true, default = "allow", one_of = { "allow", "deny" } } },
        -- Header with the session, if the gateway attests it.
        { session_header = { type = "string", required = false } },
      },
    } },
  },
}
