-- Kong plugin that asks AIDR whether the call of a consumer may pass.
--
-- The principal is what Kong has authenticated: the consumer and the credential. Headers of the caller name nobody. The plugin runs
-- after Kong's authentication plugins, whose priorities are 1000 and above.
local cjson = require "cjson.safe"
local http = require "resty.http"

local AIDR = { PRIORITY = 950, VERSION = "1.0.0" }

-- question returns the body of the question about the present request, or nil if Kong has authenticated nobody.
local function question(conf)
  local consumer, credential = kong.client.get_consumer(), kong.client.get_credential()
  local q = { route = kong.request.get_method() .. " " .. kong.request.get_path() }
  if consumer then
    q.agent = consumer.custom_id or consumer.username or consumer.id
  end
  if credential then
    q.credential_secret = credential.key
    if not q.credential_secret then
      q.credential = credential.client_id or credential.id
    end
  end
  if not q.agent and not q.credential and not q.credential_secret then
    return nil
  end
  if conf.session_header then
    q.session = kong.request.get_header(conf.session_header)
  end
  return q
end

-- ask returns AIDR's decision, or nil and the reason why there is none.
local function ask(conf, q)
  local client = http.new()
  client:set_timeout(conf.timeout_ms)
  local headers = { ["Content-Type"] = "application/json" }
  if conf.token then
    headers["Authorization"] = "Bearer " .. conf.token
  end
  local res, err = client:request_uri(conf.url .. "/v1/decision", { method = "POST", body = cjson.encode(q), headers = headers })
  if not res then
    return nil, err
  end
  if res.status ~= 200 then
    return nil, "answered " .. res.status
  end
  local decision = cjson.decode(res.body)
  if type(decision) ~= "table" or type(decision.verdict) ~= "string" then
    return nil, "the answer is not a decision"
  end
  return decision
end

local function refuse(status, text, decision)
  local headers = { ["X-Aidr-Verdict"] = decision and decision.verdict or "error" }
  if decision then
    headers["X-Aidr-Containment"] = decision.containment_id
    headers["X-Aidr-Approval"] = decision.approval_id
    if decision.retry_ms then
      headers["Retry-After"] = tostring(math.ceil(decision.retry_ms / 1000))
    end
  end
  return kong.response.exit(status, { message = text }, headers)
end

function AIDR:access(conf)
  local q = question(conf)
  if not q then
    return
  end
  local decision, err = ask(conf, q)
  if not decision or decision.verdict == "unknown" then
    if not decision then
      kong.log.warn("AIDR gave no decision: ", err)
    end
    if conf.on_error == "deny" then
      return refuse(503, "AIDR cannot judge the call", decision)
    end
    return
  end
  kong.service.request.set_header("X-Aidr-Verdict", decision.verdict)
  if decision.verdict == "deny" then
    return refuse(403, "the agent is contained by AIDR", decision)
  elseif decision.verdict == "hold" then
    return refuse(403, "the call waits for the approval of a person in AIDR", decision)
  elseif decision.verdict == "throttle" then
    return refuse(429, "the agent is throttled by AIDR: try again later", decision)
  end
end

return AIDR
