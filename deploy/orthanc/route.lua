-- Sends every CT series that may show a head to the DICOM node, once it has been stable for `StableAge` seconds.
--
-- Orthanc repeats no failed job, and a kill loses its list of series that are not stable yet. So each series has the
-- metadata `IchRouting`, `queued` or `sent`, and `resume` sends series that are not `sent`, at most every RETRY_S. Each
-- HTTP request calls it, such as the health check of the container. The node recognises instances that it has.

local NODE = 'ich' -- its name in DicomModalities
local OURS = 'ich-detect' -- ManufacturerModelName of the node's results, which are never sent back to it
local RETRY_S = 30
local CHANGES = 2000 -- how far back a start looks
local HEAD = {HEAD = true, BRAIN = true, SKULL = true, NEURO = true, HEADNECK = true, [''] = true}

local jobs = {} -- series by the job that sends it
local waiting = {} -- series that are to be sent again
local resumed_at = nil

local function get(path)
  local answer = RestApiGet(path, true)
  return answer and ParseJson(answer)
end

local function note(series, state)
  RestApiPut('/series/' .. series .. '/metadata/IchRouting', state, true)
end

local function is_sent(series)
  for _, name in ipairs(get('/series/' .. series .. '/metadata') or {}) do
    if name == 'IchRouting' then return RestApiGet('/series/' .. series .. '/metadata/IchRouting', true) == 'sent' end
  end
  return false
end

local function send(series)
  note(series, 'queued')
  waiting[series] = nil
  local body = DumpJson({Resources = {series}, Asynchronous = true}, true)
  local answer = RestApiPost('/modalities/' .. NODE .. '/store', body, true)
  local job = answer and ParseJson(answer)
  if job and job['ID'] then jobs[job['ID']] = series else waiting[series] = true end
end

local function is_ours(series)
  local found = get('/series/' .. series)
  local tags = found and get('/instances/' .. found['Instances'][1] .. '/simplified-tags') or {}
  return tags['ManufacturerModelName'] == OURS
end

local function for_node(series, tags)
  return tags['Modality'] == 'CT' and HEAD[string.upper(tags['BodyPartExamined'] or '')] and not is_ours(series)
end

-- Queues the series among the last changes that are not sent. A kill may have lost their event.
local function find_unsent()
  local last = get('/changes?last')
  local since = math.max(0, (last and last['Last'] or 0) - CHANGES)
  local page = get('/changes?since=' .. since .. '&limit=' .. CHANGES)
  for _, change in ipairs(page and page['Changes'] or {}) do
    if change['ChangeType'] == 'NewSeries' then
      local series = change['ID']
      local found = get('/series/' .. series)
      if found and found['IsStable'] and for_node(series, found['MainDicomTags']) and not is_sent(series) then
        waiting[series] = true
      end
    end
  end
end

local function resume()
  if resumed_at and os.time() < resumed_at + RETRY_S then return end
  if not resumed_at then find_unsent() end
  resumed_at = os.time()
  local again = waiting
  waiting = {}
  for series in pairs(again) do send(series) end
end

function OnStableSeries(series, tags, metadata)
  if for_node(series, tags) then send(series) end
  resume()
end

function IncomingHttpRequestFilter(method, uri, ip, user, headers)
  resume()
  return true
end

function OnJobSuccess(job)
  if jobs[job] then note(jobs[job], 'sent') end
  jobs[job] = nil
end

function OnJobFailure(job)
  if jobs[job] then waiting[jobs[job]] = true end
  jobs[job] = nil
end
