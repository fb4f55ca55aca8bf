package org.elasticsearch.plugins;

import org.elasticsearch.Build;

import java.util.List;

/** What release 8 wants to know of a plugin. */
final class Descriptors {
    static PluginDescriptor of(String name) {
        return new PluginDescriptor(name, "from the class path", "1", Build.current().version(),
            "17", name, null, List.of(), false, false, false, false);
    }

    private Descriptors() {}
}
