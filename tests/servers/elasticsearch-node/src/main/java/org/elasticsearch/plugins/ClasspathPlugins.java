package org.elasticsearch.plugins;

import org.elasticsearch.env.Environment;

import java.util.List;

/**
 * Hands the node plugins that lie on the class path. A stock server finds its modules as folders under
 * {@code modules/}, which are not published; the hook for anything else is package-private, hence the package.
 */
public final class ClasspathPlugins extends PluginsService {
    private final List<LoadedPlugin> plugins;

    public ClasspathPlugins(Environment environment, PluginsLoader loader, List<Class<? extends Plugin>> classes) {
        super(environment.settings(), environment.configDir(), loader);
        plugins = classes.stream().map(type -> {
            String name = type.getName();
            Plugin plugin = loadPlugin(type, environment.settings(), environment.configDir());
            return new LoadedPlugin(Descriptors.of(name), plugin, type.getClassLoader());
        }).toList();
    }

    @Override
    protected List<LoadedPlugin> plugins() {
        return plugins;
    }
}
