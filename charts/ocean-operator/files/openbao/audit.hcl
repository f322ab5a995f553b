# Where OpenBao writes down who asked for what. Two devices: a request succeeds as long as one of them can
# write, so a full disk alone does not stop the clinics, and neither one alone can swallow an entry.
# OpenBao takes audit devices from its configuration only, never by API (CVE-2025-54997).
# The relative path is below the server's working directory.

audit "file" "file" {
  description = "Kept beside the data; followed for people's access to keys."
  options {
    file_path = "audit/audit.log"
  }
}

audit "file" "stdout" {
  description = "Goes where the container's log goes."
  options {
    file_path = "stdout"
  }
}
