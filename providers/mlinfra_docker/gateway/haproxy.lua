-- What HAProxy cannot say in its own words for a route of mlinfra: a request that waits while no server can take it, counts
-- of answers with their times, copies for shadows, and one page of all servers' metrics. What is where stands in haproxy.cfg.

local BACKEND = "targets"
local BUCKETS = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0 }
local LOOK = 100 -- milliseconds between two looks of a request that waits
local REST = 5000 -- the most that one rests whose server failed it again and again
local UNDER_WAY = 64 -- copies that one shadow may have unanswered
local GATHER = 5000 -- milliseconds that the metrics of one server may take
local DROPPED = { host = true, connection = true, expect = true, ["content-length"] = true, ["transfer-encoding"] = true }
local SUFFIXES = { "_bucket", "_count", "_sum", "_total", "_created", "_info" }

local seen = {} -- server → its answers
local copies = {} -- shadow → { sent, failed, dropped, under_way }

local function target_of(server)
  return server:match("^(.*)%.") or server
end

-- Requests and answers ----------------------------------------------------------------------------------------------

core.register_action("begin", { "http-req" }, function(txn)
  txn:set_priv(core.now())
end)

-- An answer of a server. `slow`: milliseconds above which it counts as slow; 0: none does.
core.register_action("answered", { "http-res" }, function(txn, slow)
  local name, began, now = txn.f:srv_name(), txn:get_priv(), core.now()
  if not began or not name or name == "waiting" then return end
  local seconds = now.sec - began.sec + (now.usec - began.usec) / 1e6
  local found = seen[name]
  if not found then
    found = { requests = 0, slow = 0, seconds = 0, codes = {}, buckets = {} }
    for i = 1, #BUCKETS do found.buckets[i] = 0 end
    seen[name] = found
  end
  local code = tostring(txn.f:status())
  found.requests = found.requests + 1
  found.seconds = found.seconds + seconds
  found.codes[code] = (found.codes[code] or 0) + 1
  if tonumber(slow) > 0 and seconds * 1000 > tonumber(slow) then found.slow = found.slow + 1 end
  for i, bound in ipairs(BUCKETS) do
    if seconds <= bound then found.buckets[i] = found.buckets[i] + 1 end
  end
end, 1)

-- A request that no server can take waits `ms`, counted from when it first did, and no longer than who sent it here waits for
-- an answer (`txn.most`). `names`: the servers that could take it, separated by commas. A worker that another one has replaced
-- is told nothing of servers any more: it passes the request on to the new one.
core.register_action("hold", { "http-req" }, function(txn, ms, names)
  local began, most = tonumber(txn.f:req_hdr("x-mlinfra-held")), tonumber(txn:get_var("txn.most") or "")
  local last = began + tonumber(ms)
  local now = core.now()
  if most then last = math.min(last, now.sec * 1000 + now.usec / 1000 + most) end
  -- One that comes back had a server that looked well and was not: each time it rests longer.
  local times = tonumber(txn.f:req_hdr("x-mlinfra-times") or "") or 0
  txn.http:req_set_header("x-mlinfra-times", tostring(times + 1))
  if times > 0 then core.msleep(math.floor(math.min(REST, LOOK * 2 ^ times))) end
  while true do
    for name in names:gmatch("[^,]+") do
      if tonumber(txn.f:srv_is_up(BACKEND .. "/" .. name)) == 1 then
        txn:set_var("txn.next", "targets")
        return
      end
    end
    now = core.now()
    if now.sec * 1000 + now.usec / 1000 >= last then
      txn:set_var("txn.next", "nobody")
      return
    end
    if tonumber(core.get_info()["Stopping"]) == 1 then
      txn:set_var("txn.next", "again")
      return
    end
    core.msleep(LOOK)
  end
end, 2)

-- Copies ------------------------------------------------------------------------------------------------------------

local function copied_headers(txn, shadow)
  local found = { ["x-mlinfra-shadow"] = { shadow } }
  for name, values in pairs(txn.http:req_get_headers()) do
    if not DROPPED[name] then
      local list = {}
      for i = 0, #values do list[#list + 1] = values[i] end
      found[name] = list
    end
  end
  return found
end

-- Sends a copy to a shadow by way of the frontend at `port`. Nobody waits for it; what cannot be kept up with is dropped.
core.register_action("copy", { "http-req" }, function(txn, shadow, port)
  local count = copies[shadow]
  if not count then
    count = { sent = 0, failed = 0, dropped = 0, under_way = 0 }
    copies[shadow] = count
  end
  local method = txn.f:method():lower()
  local whole = txn.f:req_body_len() >= txn.f:req_body_size()
  if count.under_way >= UNDER_WAY or not whole or (method ~= "get" and method ~= "post" and method ~= "put") then
    count.dropped = count.dropped + 1
    return
  end
  local request = {
    url = "http://127.0.0.1:" .. port .. txn.f:pathq(),
    headers = copied_headers(txn, shadow),
    body = method ~= "get" and txn.f:req_body() or nil,
  }
  count.under_way = count.under_way + 1
  core.register_task(function()
    local client = core.httpclient()
    local done, answer = pcall(client[method], client, request)
    count.under_way = count.under_way - 1
    if done and answer and answer.status and answer.status > 0 and answer.status < 500 then
      count.sent = count.sent + 1
    else
      count.failed = count.failed + 1
    end
  end)
end, 2)

-- Metrics -----------------------------------------------------------------------------------------------------------

local function by_target()
  local found = {}
  local function of(target)
    if not found[target] then
      found[target] = { requests = 0, seconds = 0, codes = {}, buckets = {}, healthy = 0, repeats = 0 }
      for i = 1, #BUCKETS do found[target].buckets[i] = 0 end
    end
    return found[target]
  end
  local own = 0
  for name, server in pairs(core.backends[BACKEND].servers) do
    local stats = server:get_stats()
    own = own - (tonumber(stats.hrsp_5xx) or 0)
    if name ~= "waiting" then
      local sum = of(target_of(name))
      if tostring(stats.status):sub(1, 2) == "UP" then sum.healthy = 1 end
      sum.repeats = sum.repeats + (tonumber(stats.wretr) or 0)
    end
  end
  -- What HAProxy answered itself because a server did not.
  own = own + (tonumber(core.backends[BACKEND]:get_stats().hrsp_5xx) or 0)
  for name, count in pairs(seen) do
    local sum = of(target_of(name))
    sum.requests = sum.requests + count.requests
    sum.seconds = sum.seconds + count.seconds
    for code, n in pairs(count.codes) do sum.codes[code] = (sum.codes[code] or 0) + n end
    for i, n in ipairs(count.buckets) do sum.buckets[i] = sum.buckets[i] + n end
  end
  return found, math.max(0, own)
end

local function own_metrics()
  local lines = {}
  local function line(...) lines[#lines + 1] = string.format(...) end
  local targets, unanswered = by_target()
  line("# TYPE mlinfra_route_requests_total counter")
  for target, sum in pairs(targets) do
    for code, n in pairs(sum.codes) do line('mlinfra_route_requests_total{target="%s",code="%s"} %d', target, code, n) end
  end
  line('mlinfra_route_requests_total{target="",code="5xx"} %d', unanswered)
  line("# TYPE mlinfra_route_request_seconds histogram")
  for target, sum in pairs(targets) do
    for i, bound in ipairs(BUCKETS) do
      line('mlinfra_route_request_seconds_bucket{target="%s",le="%s"} %d', target, bound, sum.buckets[i])
    end
    line('mlinfra_route_request_seconds_bucket{target="%s",le="+Inf"} %d', target, sum.requests)
    line('mlinfra_route_request_seconds_sum{target="%s"} %.6f', target, sum.seconds)
    line('mlinfra_route_request_seconds_count{target="%s"} %d', target, sum.requests)
  end
  line("# TYPE mlinfra_route_repeats_total counter")
  for target, sum in pairs(targets) do line('mlinfra_route_repeats_total{target="%s"} %d', target, sum.repeats) end
  line("# TYPE mlinfra_route_shadow_total counter")
  for shadow, count in pairs(copies) do
    for _, result in ipairs({ "sent", "failed", "dropped" }) do
      line('mlinfra_route_shadow_total{target="%s",result="%s"} %d', shadow, result, count[result])
    end
  end
  line("# TYPE mlinfra_route_target_healthy gauge")
  for target, sum in pairs(targets) do line('mlinfra_route_target_healthy{target="%s"} %d', target, sum.healthy) end
  line("# TYPE mlinfra_route_waiting gauge")
  line("mlinfra_route_waiting %d", tonumber(core.frontends["waiting"]:get_stats().scur) or 0)
  return table.concat(lines, "\n") .. "\n"
end

-- The family that a sample belongs to: its name, or that without the ending of a histogram or summary.
local function family_of(name, known)
  if known[name] then return name end
  for _, suffix in ipairs(SUFFIXES) do
    local short = name:sub(1, -#suffix - 1)
    if name:sub(-#suffix) == suffix and known[short] then return short end
  end
  return name
end

-- Adds the samples of one page to `families`, each with the label `target`, and `replica` where there are several.
local function add_page(families, page, labels)
  local known = {}
  local function of(name)
    if not families[name] then
      families[name] = { heads = {}, samples = {} }
      families[#families + 1] = name
    end
    return families[name]
  end
  for line in page:gmatch("[^\n]+") do
    local sort, family = line:match("^# (%u+) (%S+)")
    local name, rest = line:match("^([%a_:][%w_:]*)(.*)$")
    if sort == "HELP" or sort == "TYPE" then
      known[family] = true
      of(family).heads[sort] = line
    elseif name then
      local inner, value = rest:match("^{(.*)}%s+(%S+)%s*$")
      if not inner then inner, value = "", rest:match("^%s+(%S+)%s*$") end
      if value then
        local samples = of(family_of(name, known)).samples
        samples[#samples + 1] = name .. "{" .. labels .. (inner ~= "" and "," .. inner or "") .. "} " .. value
      end
    end
  end
end

local function joined(families)
  local lines = {}
  for _, name in ipairs(families) do
    local family = families[name]
    if #family.samples > 0 then
      lines[#lines + 1] = family.heads.HELP
      lines[#lines + 1] = family.heads.TYPE
      for _, sample in ipairs(family.samples) do lines[#lines + 1] = sample end
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

local function tell(applet, status, text)
  applet:set_status(status)
  applet:add_header("content-type", "text/plain; version=0.0.4; charset=utf-8")
  applet:add_header("content-length", tostring(#text))
  applet:start_response()
  applet:send(text)
end

core.register_service("own_metrics", "http", function(applet)
  tell(applet, 200, own_metrics())
end)

-- The pages of all servers as one, with the route's own. `txn.servers`: name=host:port, separated by commas. A server that
-- wants a token is asked with the caller's; if none gives its page, its refusal is the answer.
core.register_service("all_metrics", "http", function(applet)
  local servers, path = applet:get_var("txn.servers"), applet:get_var("txn.metrics")
  local authorization = applet.headers["authorization"]
  local families, refused, given = {}, nil, 0
  local count = {}
  for name in servers:gmatch("([^,=]+)=") do count[target_of(name)] = (count[target_of(name)] or 0) + 1 end
  for name, place in servers:gmatch("([^,=]+)=([^,]+)") do
    local request = { url = "http://" .. place .. path, headers = {}, timeout = GATHER }
    if authorization then request.headers["authorization"] = { authorization[0] } end
    local client = core.httpclient()
    local done, answer = pcall(client.get, client, request)
    if done and answer and answer.status == 200 then
      local target = target_of(name)
      local labels = 'target="' .. target .. '"'
      if count[target] > 1 then labels = labels .. ',replica="' .. name:match("[^.]*$") .. '"' end
      add_page(families, answer.body, labels)
      given = given + 1
    elseif done and answer and answer.status and answer.status > 0 then
      refused = answer.status
    end
  end
  if given == 0 and refused then
    tell(applet, refused, "the servers refuse to tell their metrics\n")
    return
  end
  tell(applet, 200, joined(families) .. own_metrics())
end)

-- For mlinfra, at HAProxy's own socket: of each server how many answers it gave, and how many of them were slow.
core.register_cli({ "show", "traffic" }, "show traffic : answers of each server since this worker started", function(applet)
  for name, count in pairs(seen) do applet:send(name .. " " .. count.requests .. " " .. count.slow .. "\n") end
end)
