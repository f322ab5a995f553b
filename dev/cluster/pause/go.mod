// The process that holds a pod's namespaces open. The kubelet's container runtime needs an image of it.
module ocean.cloudconnect.dev/dev/cluster/pause

go 1.26.0
