// A minimal container runtime that makes one call of libcni, the library with which runtimes call plugins.
//
//	libcni-runtime VERB -conf FILE [-id ID -netns PATH -ifname NAME -capabilities JSON -args K=V;K=V -timeout D]
//
// VERB is validate, add, check, del or cached. It prints the result, or the plugin's error, as JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
)

func main() {
	flags := flag.NewFlagSet(os.Args[0], flag.ExitOnError)
	conf := flags.String("conf", "", "the file of a plugin list")
	id := flags.String("id", "", "the container's ID")
	netns := flags.String("netns", "", "the path of its network namespace")
	ifname := flags.String("ifname", "eth0", "the name of its interface")
	capabilities := flags.String("capabilities", "{}", "the capability arguments, as JSON")
	args := flags.String("args", "", "CNI_ARGS")
	timeout := flags.Duration("timeout", 30*time.Second, "how long a plugin may run before it is killed")
	path := flags.String("path", "/opt/cni/bin", "CNI_PATH")
	cache := flags.String("cache", "", "the directory of cached results instead of /var/lib/cni")
	if len(os.Args) < 2 {
		flags.Usage()
		os.Exit(2)
	}
	_ = flags.Parse(os.Args[2:])

	runtime := &libcni.RuntimeConf{ContainerID: *id, NetNS: *netns, IfName: *ifname}
	if err := json.Unmarshal([]byte(*capabilities), &runtime.CapabilityArgs); err != nil {
		fail(err)
	}
	for _, pair := range strings.Split(*args, ";") {
		if name, value, isPair := strings.Cut(pair, "="); isPair {
			runtime.Args = append(runtime.Args, [2]string{name, value})
		}
	}
	list, err := libcni.ConfListFromFile(*conf)
	if err != nil {
		fail(err)
	}
	cni := libcni.NewCNIConfigWithCacheDir(strings.Split(*path, ":"), *cache, nil)
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()

	var answer interface{}
	switch verb := os.Args[1]; verb {
	case "validate":
		answer, err = cni.ValidateNetworkList(ctx, list)
	case "add":
		answer, err = cni.AddNetworkList(ctx, list, runtime)
	case "check":
		err = cni.CheckNetworkList(ctx, list, runtime)
	case "del":
		err = cni.DelNetworkList(ctx, list, runtime)
	case "cached":
		answer, err = cni.GetNetworkListCachedResult(list, runtime)
	default:
		err = fmt.Errorf("unknown verb %q", verb)
	}
	if err != nil {
		fail(err)
	}
	if answer != nil {
		_ = json.NewEncoder(os.Stdout).Encode(answer)
	}
}

// fail prints the plugin's error; for an error of libcni itself the code is 0.
func fail(err error) {
	printed := &types.Error{Msg: err.Error()}
	if plugin := (*types.Error)(nil); errors.As(err, &plugin) {
		printed = plugin
	}
	_ = json.NewEncoder(os.Stdout).Encode(printed)
	os.Exit(1)
}
