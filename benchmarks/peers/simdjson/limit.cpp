// limit reads the fields that the rules use from each record with simdjson's On-Demand interface, and does nothing else: the
// limit of what a rule engine over JSON text can reach. Usage: limit LOG.jsonl. It prints one line of JSON.
#include <simdjson.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

using namespace simdjson;

static double cpu() {
  rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

// read returns the total length of the fields, so that none of the reads can be left out.
static size_t read(ondemand::object object, bool inner) {
  size_t length = 0;
  for (auto field : object) {
    ondemand::raw_json_string key = field.key();
    bool wanted = inner ? key.unsafe_is_equal("userName") || key.unsafe_is_equal("principalId") ||
                              key.unsafe_is_equal("accountId") || key.unsafe_is_equal("arn")
                        : key.unsafe_is_equal("eventSource") || key.unsafe_is_equal("eventName") ||
                              key.unsafe_is_equal("awsRegion") || key.unsafe_is_equal("sourceIPAddress") ||
                              key.unsafe_is_equal("userAgent") || key.unsafe_is_equal("errorCode");
    if (wanted) {
      std::string_view text;
      if (field.value().get_string().get(text) == SUCCESS) length += text.size();
    } else if (!inner && key.unsafe_is_equal("userIdentity")) {
      ondemand::object identity;
      if (field.value().get_object().get(identity) == SUCCESS) length += read(identity, true);
    }
  }
  return length;
}

int main(int, char **argv) {
  padded_string log = padded_string::load(argv[1]);
  std::vector<std::string_view> records;
  for (size_t at = 0; at < log.size();) {
    const char *end = static_cast<const char *>(memchr(log.data() + at, '\n', log.size() - at));
    size_t to = end ? end - log.data() : log.size();
    records.push_back(std::string_view(log).substr(at, to - at));
    at = to + 1;
  }
  ondemand::parser parser;
  auto pass = [&] {
    size_t length = 0;
    for (std::string_view r : records) { // the bytes after a record are those of the next one, or the padding
      ondemand::document document = parser.iterate(r.data(), r.size(), r.size() + SIMDJSON_PADDING);
      length += read(document.get_object(), false);
    }
    return length;
  };
  const char *least = getenv("PEER_SECONDS");
  double seconds = 0, most = least ? atof(least) : 2, began;
  size_t events = 0, length = pass();
  for (began = cpu(); events == 0 || seconds < most; seconds = cpu() - began) {
    if (pass() != length) return 1;
    events += records.size();
  }
  printf("{\"engine\":\"simdjson %s On-Demand (limit)\",\"records\":%zu,\"events\":%zu,\"bytes_read\":%zu,\"cpu_seconds\":%.4f}\n",
         SIMDJSON_STRINGIFY(SIMDJSON_VERSION), records.size(), events, length, seconds);
}
