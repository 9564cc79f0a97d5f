package config

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"rtpjet/relay/plan"
)

func TestParseInterface(t *testing.T) {
	for text, want := range map[string]struct{ name, host, advertised, alias string }{
		"192.0.2.1":                       {"default", "192.0.2.1", "", ""},
		"  192.0.2.1  ":                   {"default", "192.0.2.1", "", ""},
		"pub/192.0.2.1":                   {"pub", "192.0.2.1", "", ""},
		" pub / 192.0.2.1 ! 203.0.113.1 ": {"pub", "192.0.2.1", "203.0.113.1", ""},
		"192.0.2.1!203.0.113.1":           {"default", "192.0.2.1", "203.0.113.1", ""},
		"2001:db8::1":                     {"default", "2001:db8::1", "", ""},
		"[2001:db8::1]":                   {"default", "2001:db8::1", "", ""},
		"six/[2001:db8::1]![2001:db8::2]": {"six", "2001:db8::1", "2001:db8::2", ""},
		"six/2001:db8::1!2001:db8::2":     {"six", "2001:db8::1", "2001:db8::2", ""},
		"192.0.2.1!::ffff:203.0.113.1":    {"default", "192.0.2.1", "203.0.113.1", ""}, // as an SDP would write it
		"eth0":                            {"default", "eth0", "", ""},
		"eth0.100":                        {"default", "eth0.100", "", ""},
		"eth0:1":                          {"default", "eth0:1", "", ""},
		"br-lan/wg_0!203.0.113.1":         {"br-lan", "wg_0", "203.0.113.1", ""},
		"any":                             {"default", "any", "", ""},
		"all/any":                         {"all", "any", "", ""},
		"media.example.com":               {"default", "media.example.com", "", ""},
		"group:1/192.0.2.1":               {"group:1", "192.0.2.1", "", ""},
		"fe80::1%eth0":                    {"default", "fe80::1%eth0", "", ""},
		"öffentlich/192.0.2.1":            {"öffentlich", "192.0.2.1", "", ""},
		"internal=priv":                   {"priv", "", "", "internal"},
		" internal = priv ":               {"priv", "", "", "internal"},
		"group=pub:1":                     {"pub:1", "", "", "group"},
	} {
		spec, alias, err := parseInterface(text)
		adv := ""
		if spec.advertised.IsValid() {
			adv = spec.advertised.String()
		}
		if err != nil || spec.name != want.name || spec.host != want.host || adv != want.advertised || alias != want.alias {
			t.Errorf("%q: %+v, alias %q, %v", text, spec, alias, err)
		}
	}
	for text, want := range map[string]string{
		"":                        `"" has no address`,
		"   ":                     `"" has no address`,
		"pub/":                    `"pub/" has no address`,
		"pub/!203.0.113.1":        `"pub/!203.0.113.1" has no address`,
		"!203.0.113.1":            `"!203.0.113.1" has no address`,
		"/192.0.2.1":              `"/192.0.2.1" has no name before the slash`,
		" /192.0.2.1":             `"/192.0.2.1" has no name before the slash`,
		"a b/192.0.2.1":           `"a b/192.0.2.1" has no name before the slash`,
		"a,b/192.0.2.1":           `"a,b/192.0.2.1" has no name before the slash`,
		"pub/192.0.2.1/24":        `"192.0.2.1/24" is no address, network card or host name`,
		"192.0.2.1 192.0.2.2":     `"192.0.2.1 192.0.2.2" is no address, network card or host name`,
		"192.0.2.1,192.0.2.2":     `"192.0.2.1,192.0.2.2" is no address, network card or host name`,
		"\x1b[2J":                 `"\x1b[2J" is no address, network card or host name`,
		"pub/192.0.2.1!":          `"" behind the exclamation mark is no IP address`,
		"192.0.2.1!nat":           `"nat" behind the exclamation mark is no IP address`,
		"192.0.2.1!a!b":           `"a!b" behind the exclamation mark is no IP address`,
		"192.0.2.1!203.0.113.256": `"203.0.113.256" behind the exclamation mark is no IP address`,
		"=priv":                   `"=priv" is no ALIAS=NAME`,
		"internal=":               `"internal=" is no ALIAS=NAME`,
		"a=b=c":                   `"a=b=c" is no ALIAS=NAME`,
		"a/b=c":                   `"a/b=c" is no ALIAS=NAME`,
	} {
		if spec, alias, err := parseInterface(text); err == nil || err.Error() != want {
			t.Errorf("%q: %+v %q %v, want %s", text, spec, alias, err, want)
		}
	}
}

// TestInterfaceAddresses: which addresses an interface has of a name, and what SDPs say of them.
func TestInterfaceAddresses(t *testing.T) {
	env := testEnv(nil)
	lookup := env.LookupHost
	env.LookupHost = func(ctx context.Context, name string) ([]netip.Addr, error) {
		switch name {
		case "mapped.example.com":
			return []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.78")}, nil
		case "empty.example.com":
			return nil, nil
		}
		return lookup(ctx, name)
	}
	for host, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::1", "eth0": "192.168.1.120 2001:db8:85a3::7334",
		"any": "192.168.1.120 2001:db8:85a3::7334 10.9.9.9", "media.example.com": "192.0.2.77", "mapped.example.com": "192.0.2.78",
		"empty.example.com": "", "127.0.0.1": "127.0.0.1", "fe80::1%eth0": "fe80::1%eth0",
	} {
		addrs, err := (&interfaceSpec{host: host}).addrs(t.Context(), env)
		var got []string
		for _, a := range addrs {
			got = append(got, a.String())
		}
		if strings.Join(got, " ") != want || err != nil {
			t.Errorf("%s: %v, %v", host, got, err)
		}
	}
	for host, want := range map[string]string{
		"0.0.0.0": "media needs an address that others can send to", "::": "media needs an address that others can send to",
		"224.0.0.1": "media needs an address that others can send to", "ff02::1": "media needs an address that others can send to",
		"down0": "it has no address", "nowhere": "there is no network card and no host of that name", "Any": "there is no network card and no host of that name",
	} {
		if addrs, err := (&interfaceSpec{host: host}).addrs(t.Context(), env); err == nil || err.Error() != want {
			t.Errorf("%s: %v, %v, want %s", host, addrs, err, want)
		}
	}
	none := errors.New("netlink is closed")
	env.CardAddrs = func(string) ([]netip.Addr, error) { return nil, none }
	if _, err := (&interfaceSpec{host: "any"}).addrs(t.Context(), env); !errors.Is(err, none) {
		t.Errorf("any, of a machine that does not tell its addresses: %v", err)
	}

	// One address to advertise for several: it is that of its family.
	c := mustParse(t, testEnv(nil), "serve -n 2223 -i a/eth0!203.0.113.9 -i b/any!2001:db8::9 -i c/10.0.0.1!2001:db8::7")
	if got, want := strings.ReplaceAll(describe(c.Interfaces), " 30000-39999", ""), "a/192.168.1.120!203.0.113.9, a/2001:db8:85a3::7334, "+
		"b/192.168.1.120, b/2001:db8:85a3::7334!2001:db8::9, b/10.9.9.9, c/10.0.0.1!2001:db8::7"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// section reads a node whose one interface is in a section of the file.
func section(t *testing.T, lines string) (*Config, error) {
	t.Helper()
	file := "[rtpengine]\nlisten-ng=2223\ninterfaces-config=media\nzone=eu\n[media-pub]\n" + lines + "\n"
	cmd, err := ParseArgs(t.Context(), []string{"serve", "--config-file", "x.conf"}, testEnv(map[string]string{"x.conf": file}))
	return cmd.Config, err
}

func TestInterfaceSections(t *testing.T) {
	for lines, want := range map[string]string{
		"address=10.0.0.1":                                                      "pub/10.0.0.1 30000-39999",
		"address = 10.0.0.1 ; 10.0.0.2":                                         "pub/10.0.0.1 30000-39999, pub/10.0.0.2 30000-39999",
		"address=10.0.0.1\naddress=10.0.0.2":                                    "pub/10.0.0.1 30000-39999, pub/10.0.0.2 30000-39999",
		"address=10.0.0.1!192.0.2.1":                                            "pub/10.0.0.1!192.0.2.1 30000-39999",
		"address=10.0.0.1\nadvertised=192.0.2.1":                                "pub/10.0.0.1!192.0.2.1 30000-39999",
		"address=10.0.0.1;10.0.0.2\nadvertised=192.0.2.1;192.0.2.2":             "pub/10.0.0.1!192.0.2.1 30000-39999, pub/10.0.0.2!192.0.2.2 30000-39999",
		"advertised=192.0.2.1\nadvertised=192.0.2.2\naddress=10.0.0.1;10.0.0.2": "pub/10.0.0.1!192.0.2.1 30000-39999, pub/10.0.0.2!192.0.2.2 30000-39999",
		"address=10.0.0.1!192.0.2.9\nadvertised=192.0.2.1":                      "pub/10.0.0.1!192.0.2.9 30000-39999",
		"address=eth0":                                                        "pub/192.168.1.120 30000-39999, pub/2001:db8:85a3::7334 30000-39999",
		"address=media.example.com":                                           "pub/192.0.2.77 30000-39999",
		"name=outside\naddress=10.0.0.1":                                      "outside/10.0.0.1 30000-39999",
		"address=10.0.0.1\nport-min=50000\nport-max=50999":                    "pub/10.0.0.1 50000-50999",
		"address=10.0.0.1\nport-min=35000":                                    "pub/10.0.0.1 35000-39999",
		"address=10.0.0.1\nport-max=35000":                                    "pub/10.0.0.1 30000-35000",
		"address=10.0.0.1\nport-max=35000\nport-max=36000":                    "pub/10.0.0.1 30000-36000",
		"address=10.0.0.1\nport-min=1\nport-max=65535":                        "pub/10.0.0.1 1-65535",
		"address=10.0.0.1\nexclude-ports=30000-30099;30200,30300 30400-30400": "pub/10.0.0.1 30000-39999 not 30000-30099 not 30200-30200 not 30300-30300 not 30400-30400",
		"address=10.0.0.1\nexclude-ports=30000\nexclude-ports=30001":          "pub/10.0.0.1 30000-39999 not 30000-30000 not 30001-30001",
		"address=10.0.0.1\nexclude-ports=":                                    "pub/10.0.0.1 30000-39999",
	} {
		c, err := section(t, lines)
		if err != nil {
			t.Errorf("%q: %v", lines, err)
			continue
		}
		if got := describe(c.Interfaces); got != want || c.Interfaces.All()[0].Zone != "eu" {
			t.Errorf("%q: %s\nwant %s", lines, got, want)
		}
	}
	if c, err := section(t, "address=10.0.0.1\nzone=us/a\n[media-other]\naddress=10.0.0.2\n[media-inside]\nalias=pub\n[media-]\naddress=10.0.0.3\n[medial]\naddress=x y"); err != nil ||
		describe(c.Interfaces) != "pub/10.0.0.1 30000-39999, other/10.0.0.2 30000-39999" || zonesOf(c) != "pub=us/a other=eu" || c.Interfaces.Aliases()["inside"] != "pub" {
		t.Errorf("%+v %v", c, err)
	}
}

func TestInterfaceSectionFaults(t *testing.T) {
	for lines, want := range map[string]string{
		"":                        "x.conf, section [media-pub] has no address; write address = ADDR",
		"address=":                "x.conf, section [media-pub] has no address; write address = ADDR",
		"address=10.0.0.1\nfoo=1": `x.conf, line 7: there is no "foo" for an interface; there are address, advertised, name, alias, port-min, port-max, exclude-ports and zone`,
		"address=/":               `x.conf, section [media-pub]: the address "/" cannot be used; write an IP address, a network card or a host name`,
		"address=a=b":             `x.conf, section [media-pub]: the address "a=b" cannot be used; write an IP address, a network card or a host name`,
		"address=10.0.0.1;10.0.0.2\nadvertised=192.0.2.1":            "x.conf, section [media-pub] has 2 addresses and advertises 1; give one for each, or none",
		"address=10.0.0.1\nadvertised=nat":                           `x.conf, section [media-pub]: the address "10.0.0.1" cannot be used; write an IP address, a network card or a host name`,
		"address=10.0.0.1\nalias=x":                                  "x.conf, section [media-pub] has an address and an alias; an alias is another name for an interface that has one",
		"address=10.0.0.1\nname=a b":                                 `x.conf, section [media-pub]: "a b" cannot be the name of an interface`,
		"address=10.0.0.1\nname=":                                    `x.conf, section [media-pub]: "" cannot be the name of an interface`,
		"address=10.0.0.1\nport-min=0":                               `x.conf, section [media-pub]: port-min is "0"; it must be a whole number from 1 to 65534`,
		"address=10.0.0.1\nport-max=65536":                           `x.conf, section [media-pub]: port-max is "65536"; it must be a whole number from 2 to 65535`,
		"address=10.0.0.1\nport-max=many":                            `x.conf, section [media-pub]: port-max is "many"; it must be a whole number from 2 to 65535`,
		"address=10.0.0.1\nport-min=50000":                           "x.conf, section [media-pub]: port-max is 39999 and port-min is 50000; the last port must be above the first",
		"address=10.0.0.1\nport-min=39999":                           "x.conf, section [media-pub]: port-max is 39999 and port-min is 39999; the last port must be above the first",
		"address=10.0.0.1\nexclude-ports=5-3":                        `x.conf, section [media-pub]: exclude-ports: "5-3" is no PORT or PORT-PORT`,
		"address=10.0.0.1\nzone=a//b":                                `x.conf, section [media-pub]: zone is "a//b"; it must be names of letters, digits, ., - and _ with slashes between, such as eu/fra/a`,
		"address=nowhere":                                            `x.conf, section [media-pub]: cannot find the media address "nowhere": there is no network card and no host of that name; write an IP address of this machine, the name of a network card (ip addr lists them), or a host name`,
		"address=10.0.0.1\n[media-more]\nalias=nothing":              `--interface: `,
		"address=10.0.0.1\n[media-more]\nname=pub\naddress=10.0.0.1": `--interface: `,
	} {
		_, err := section(t, lines)
		if err == nil || !errors.Is(err, ErrUsage) || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v\nwant %s", lines, err, want)
		}
	}
}

func TestParsePorts(t *testing.T) {
	for text, want := range map[string]plan.PortRange{
		"1": {Min: 1, Max: 1}, "0": {}, "65535": {Min: 65535, Max: 65535}, "1-2": {Min: 1, Max: 2}, "7-7": {Min: 7, Max: 7}, " 1 - 2 ": {Min: 1, Max: 2}, "0-65535": {Max: 65535},
	} {
		if got, err := parsePorts(text); err != nil || got != want {
			t.Errorf("%q: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-", "1-", "-1", "2-1", "65536", "1-65536", "x", "1-x", "1-2-3", "+1", "0x10", "1.5", "1 2"} {
		if got, err := parsePorts(text); err == nil || !strings.Contains(err.Error(), Quote(text)) {
			t.Errorf("%q: %v %v", text, got, err)
		}
	}
}

func FuzzPorts(f *testing.F) {
	for _, text := range []string{"1", "1-2", "2-1", "-", "65535-65536", " 3 - 4 "} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := parsePorts(text); err == nil && r.Max < r.Min {
			t.Errorf("%q: %v", text, r)
		}
	})
}

// TestAliases: an alias is another name for an interface that is there, in any order.
func TestAliases(t *testing.T) {
	c := mustParse(t, testEnv(nil), "serve -n 2223 -i inside=priv -i priv/10.0.0.1 -i pub/10.0.0.2 -i outside=pub -i default=pub")
	for name, want := range map[string]string{"inside": "10.0.0.1", "priv": "10.0.0.1", "outside": "10.0.0.2", "default": "10.0.0.2"} {
		if a, exact := c.Interfaces.Lookup(name, "IP4", 0); !exact || a.Addr.String() != want {
			t.Errorf("%s is %v", name, a.Addr)
		}
	}
	for args, want := range map[string]string{
		"-i pub/10.0.0.1 -i x=nothing":    "--interface: ",
		"-i x=y":                          "there is no --interface: ",
		"-i pub/10.0.0.1 -i x=":           `-i: "x=" is no ALIAS=NAME; write [NAME/]ADDR[!ADVERTISED], such as pub/10.0.0.1!192.0.2.1`,
		"-i 10.0.0.1 --interface=/":       `--interface: "/" has no name before the slash; write [NAME/]ADDR[!ADVERTISED], such as pub/10.0.0.1!192.0.2.1`,
		"-i pub/10.0.0.1 -m 2000 -M 2000": "--port-max is 2000 and --port-min is 2000; the last port must be above the first",
	} {
		if _, err := parse(t, testEnv(nil), "serve -n 2223 "+args); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}

// TestCardsOfThisMachine: what the kernel says of its cards. Loopback has an address, and any does not name it.
func TestCardsOfThisMachine(t *testing.T) {
	cards, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	any, err := cardAddrs("")
	if err != nil {
		t.Fatal(err)
	}
	for _, card := range cards {
		addrs, err := cardAddrs(card.Name)
		if err != nil {
			t.Errorf("%s: %v", card.Name, err)
		}
		for _, a := range addrs {
			if a.IsLinkLocalUnicast() || a.Is4In6() {
				t.Errorf("%s has %s", card.Name, a)
			}
			if card.Flags&net.FlagLoopback != 0 && slices.Contains(any, a) {
				t.Errorf("any has %s of %s", a, card.Name)
			}
		}
		if card.Flags&net.FlagLoopback != 0 && card.Flags&net.FlagUp != 0 && !slices.Contains(addrs, netip.MustParseAddr("127.0.0.1")) {
			t.Errorf("%s has %v", card.Name, addrs)
		}
	}
}
