-- Runs the plugin with stubs of Kong's plugin development kit. Arguments: url, token, consumer, credential, on_error.
local url, token, consumer, credential, on_error = arg[1], arg[2], arg[3], arg[4], arg[5]

-- A JSON codec that is enough for flat objects of texts and numbers.
package.preload["cjson.safe"] = function()
  local function escape(s)
    return s:gsub('[%c"\\]', function(c) return string.format("\\u%04x", c:byte()) end)
  end
  return {
    encode = function(t)
      local parts = {}
      for k, v in pairs(t) do
        parts[#parts + 1] = '"' .. k .. '":"' .. escape(v) .. '"'
      end
      return "{" .. table.concat(parts, ",") .. "}"
    end,
    decode = function(s)
      local t = {}
      for k, v in s:gmatch('"([%w_]+)":"([^"]*)"') do t[k] = v end
      for k, v in s:gmatch('"([%w_]+)":(%d+)') do t[k] = tonumber(v) end
      return t
    end,
  }
end

package.preload["resty.http"] = function()
  return { new = function()
    return {
      set_timeout = function() end,
      request_uri = function(_, target, r)
        local file = os.tmpname()
        local h = io.open(file, "w")
        h:write(r.body)
        h:close()
        local p = io.popen("curl -s -m 5 -w '\\n%{http_code}' -H 'Authorization: " .. r.headers["Authorization"] ..
          "' -H 'Content-Type: application/json' --data-binary @" .. file .. " " .. target)
        local out = p:read("*a")
        p:close()
        os.remove(file)
        local body, status = out:match("^(.*)\n(%d+)$")
        if not status or status == "000" then
          return nil, "connection refused"
        end
        return { status = tonumber(status), body = body }
      end,
    }
  end }
end

local done = false
kong = {
  client = {
    get_consumer = function() if consumer ~= "" then return { username = consumer } end end,
    get_credential = function() if credential ~= "" then return { key = credential } end end,
  },
  request = {
    get_method = function() return "GET" end,
    get_path = function() return "/v1/x" end,
    get_header = function() return nil end,
  },
  service = { request = { set_header = function(_, v) kong.verdict = v end } },
  log = { warn = function() end },
  response = { exit = function(status, body, headers)
    done = true
    print("exit " .. status .. " " .. body.message .. " " .. headers["X-Aidr-Verdict"] .. " " .. (headers["X-Aidr-Containment"] or ""))
  end },
}
package.path = "kong/aidr/?.lua;" .. package.path
local plugin = require "handler"
assert(require("schema").name == "aidr")
plugin:access({ url = url, token = token, timeout_ms = 200, on_error = on_error ~= "" and on_error or "allow" })
if not done then
  print("pass " .. (kong.verdict or ""))
end
